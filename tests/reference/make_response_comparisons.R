# Reference values for the tests of comparisons of response and of grades, written by R beside this script as CSV.
#
#   cd tests/reference && Rscript make_response_comparisons.R
#
# R 4.2 with the packages MASS, coin, sandwich and pROC (Debian: r-recommended, r-cran-coin, r-cran-sandwich, r-cran-proc).
# Nothing is random. The R call that made a number stands at its place below.

suppressPackageStartupMessages({
  library(MASS)
  library(coin)
  library(sandwich)
  library(pROC)
})
options(digits = 15, warn = 1)

save_csv <- function(frame, name) write.csv(frame, name, row.names = FALSE, quote = FALSE)
rows <- function(parts) do.call(rbind, parts)

# --- proportional odds -------------------------------------------------------------------------------------------

# MASS::housing: satisfaction of 1681 tenants, frequencies of 72 patterns (the example of MASS::polr).
housing_rows <- data.frame(grade = as.integer(housing$Sat) - 1, influence = tolower(housing$Infl),
                           type = tolower(housing$Type), contact = tolower(housing$Cont), frequency = housing$Freq)
save_csv(housing_rows, "graded_housing.csv")

# Courses of patients: grade 0 to 4 of improvement, arm, clinic, baseline; two or more courses of some patients.
i <- 0:119
courses <- data.frame(
  patient = (i * 7) %% 83, arm = c("active", "control")[1 + (((i * 7) %% 83) * 5) %% 2],
  clinic = c("x", "y", "z")[1 + ((i * 7) %% 83) %% 3], baseline = 10 + (i * 13) %% 17
)
courses$grade <- pmin(pmax((i * 11) %% 5 + (courses$arm == "active") * ((i * 3) %% 2) - (courses$clinic == "y"), 0), 4)
save_csv(courses, "graded_courses.csv")

grade <- factor(courses$grade, ordered = TRUE)
arm <- factor(courses$arm, levels = c("control", "active"))
baseline <- as.numeric(scale(courses$baseline))
fits <- list(
  housing = list(fit = polr(Sat ~ Cont, weights = Freq, data = housing, Hess = TRUE, control = list(reltol = 1e-15)),
                 coefficients = "ContHigh"),
  housing_adjusted = list(
    fit = polr(Sat ~ Infl + Type + Cont, weights = Freq, data = housing, Hess = TRUE, control = list(reltol = 1e-15)),
    coefficients = c("InflMedium", "InflHigh")),
  courses = list(fit = polr(grade ~ arm, Hess = TRUE, control = list(reltol = 1e-15)), coefficients = "armactive"),
  courses_adjusted = list(
    fit = polr(grade ~ courses$clinic + baseline + arm, Hess = TRUE, control = list(reltol = 1e-15)),
    coefficients = "armactive")
)
model <- rows(lapply(names(fits), function(name) {
  each <- fits[[name]]
  data.frame(model = name, coefficient = each$coefficients, estimate = exp(coef(each$fit)[each$coefficients]),
             std_error = sqrt(diag(vcov(each$fit)))[each$coefficients], parameters = length(coef(each$fit)) + length(each$fit$zeta))
}))
# Clustered: the sandwich of the scores summed over patients; cadjust = k/(k - 1).
clustered <- rows(lapply(c("courses", "courses_adjusted"), function(name) {
  fit <- fits[[name]]$fit
  robust <- vcovCL(fit, cluster = courses$patient, type = "HC0", cadjust = TRUE)
  data.frame(model = paste0(name, "_clustered"), coefficient = "armactive", estimate = exp(coef(fit)["armactive"]),
             std_error = sqrt(diag(robust))["armactive"], parameters = length(coef(fit)) + length(fit$zeta))
}))
save_csv(rbind(model, clustered), "proportional_odds.csv")

# The score test of proportionality: the derivative of the log-likelihood of the larger model, in which each threshold has its
# own coefficients of the tested columns, at the fit of the smaller one; information expected. Derivatives are numerical.
score_test <- function(fit, x, tested, y, weight) {
  cuts <- length(fit$zeta)
  beta <- coef(fit)
  chances <- function(parameters) {
    zeta <- parameters[seq_len(cuts)]
    common <- x %*% parameters[cuts + seq_along(beta)]
    own <- matrix(parameters[-seq_len(cuts + length(beta))], nrow = length(tested))
    below <- sapply(seq_len(cuts), function(k) {
      plogis(zeta[k] - common - if (k > 1) x[, tested, drop = FALSE] %*% own[, k - 1] else 0)
    })
    cbind(below, 1) - cbind(0, below)
  }
  at <- c(fit$zeta, beta, rep(0, length(tested) * (cuts - 1)))
  slope <- lapply(seq_along(at), function(j) {           # five-point rule: exact to about 1e-11
    step <- function(h) replace(at, j, at[j] + h)
    h <- 1e-3
    (chances(step(-2 * h)) - 8 * chances(step(-h)) + 8 * chances(step(h)) - chances(step(2 * h))) / (12 * h)
  })
  chance <- chances(at)
  seen <- outer(as.integer(y), seq_len(cuts + 1), "==") * weight
  score <- sapply(slope, function(s) sum(seen * s / chance))
  information <- sapply(slope, function(a) sapply(slope, function(b) sum(weight * a * b / chance)))
  data.frame(statistic = drop(score %*% solve(information, score)), df = length(tested) * (cuts - 1))
}
tests <- list(
  housing = score_test(fits$housing$fit, model.matrix(~ Cont, housing)[, -1, drop = FALSE], 1, housing$Sat, housing$Freq),
  housing_adjusted = score_test(fits$housing_adjusted$fit, model.matrix(~ Infl + Type + Cont, housing)[, -1], 1:2,
                                housing$Sat, housing$Freq),
  courses = score_test(fits$courses$fit, model.matrix(~ arm)[, -1, drop = FALSE], 1, grade, rep(1, 120)),
  courses_adjusted = score_test(fits$courses_adjusted$fit, model.matrix(~ courses$clinic + baseline + arm)[, -1], 4,
                                grade, rep(1, 120))
)
# Without covariates the larger model is saturated: Pearson's chi-squared of the fitted table.
pearson <- function(fit, group, y, weight) {
  observed <- xtabs(weight ~ group + y)
  expected <- rowSums(observed) * predict(fit, data.frame(group), type = "probs")[match(rownames(observed), group), ]
  sum((observed - expected)^2 / expected)
}
refit <- function(group, y, weight) polr(y ~ group, weights = weight, control = list(reltol = 1e-15))
saturated <- c(
  housing = pearson(refit(housing$Cont, housing$Sat, housing$Freq), housing$Cont, housing$Sat, housing$Freq),
  courses = pearson(refit(arm, grade, rep(1, 120)), arm, grade, rep(1, 120))
)
save_csv(rows(lapply(names(tests), function(name) {
  data.frame(model = name, tests[[name]], pearson = if (name %in% names(saturated)) saturated[[name]] else NA)
})), "proportionality.csv")

# --- ranks ------------------------------------------------------------------------------------------------------------

# Wilcoxon without strata: coin::wilcox_test. van Elteren: ranks over N + 1 within blocks, permuted within them.
scores <- ave(courses$grade, courses$clinic, FUN = function(y) rank(y) / (length(y) + 1))
van_elteren <- independence_test(scores ~ factor(courses$arm) | factor(courses$clinic), teststat = "scalar")
wilcoxon <- wilcox_test(courses$grade ~ factor(courses$arm))
area <- roc(courses$arm, courses$grade, levels = c("control", "active"), direction = "<", quiet = TRUE)
by_clinic <- rows(lapply(split(courses, courses$clinic), function(d) {
  own <- roc(d$arm, d$grade, levels = c("control", "active"), direction = "<", quiet = TRUE)
  n <- table(d$arm)
  data.frame(weight = prod(n) / (sum(n) + 1), area = as.numeric(auc(own)), variance = var(own, method = "delong"))
}))
share <- by_clinic$weight / sum(by_clinic$weight)
save_csv(data.frame(
  test = c("wilcoxon", "van_elteren"),
  statistic = c(statistic(wilcoxon), statistic(van_elteren)), p_value = c(pvalue(wilcoxon), pvalue(van_elteren)),
  area = c(as.numeric(auc(area)), sum(share * by_clinic$area)),            # pROC: DeLong's area and its variance
  std_error = c(sqrt(var(area, method = "delong")), sqrt(sum(share^2 * by_clinic$variance)))
), "rank_comparisons.csv")

# --- strata with clusters ------------------------------------------------------------------------------------------

# Mantel and Haenszel's difference is the coefficient of the arm in the regression on arm and clinic.
responder <- as.numeric(courses$grade >= 3)
fit <- lm(responder ~ arm + courses$clinic)
tables <- lapply(split(data.frame(responder, arm), courses$clinic), function(d) table(d$arm, d$responder))
weight <- sapply(tables, function(t) prod(rowSums(t)) / sum(t))
difference <- sapply(tables, function(t) t["active", "1"] / sum(t["active", ]) - t["control", "1"] / sum(t["control", ]))
stopifnot(all.equal(sum(weight * difference) / sum(weight), as.numeric(coef(fit)["armactive"])))
robust <- sqrt(vcovCL(fit, cluster = courses$patient, type = "HC1")["armactive", "armactive"])
patients <- length(unique(courses$patient))
save_csv(data.frame(estimate = coef(fit)["armactive"], std_error = robust, df = patients - 1,
                    conf_low = coef(fit)["armactive"] - qt(0.975, patients - 1) * robust,
                    p_value = 2 * pt(-abs(coef(fit)["armactive"] / robust), patients - 1)),
         "clustered_strata.csv")

# --- heterogeneity ----------------------------------------------------------------------------------------------------

# Levels of a subgroup: the weighted sum of squares of the differences about their weighted mean is the residual sum of squares of
# lm(d ~ 1, weights = w). The variances are those of the proportions that are most likely under the common difference of
# Mantel and Haenszel: the root of the likelihood equation, by uniroot.
levels_of <- data.frame(y = c(9, 4, 0, 12), n = c(18, 18, 7, 40), y0 = c(1, 4, 0, 3), n0 = c(18, 20, 9, 35))
difference <- with(levels_of, y / n - y0 / n0)
common <- with(levels_of, weighted.mean(difference, n * n0 / (n + n0)))
variance <- with(levels_of, mapply(function(y, n, y0, n0) {
  slope <- function(p) y / (p + common) - (n - y) / (1 - p - common) + y0 / p - (n0 - y0) / (1 - p)
  ends <- c(max(0, -common) + 1e-14, min(1, 1 - common) - 1e-14)
  p <- if (slope(ends[1]) < 0) max(0, -common) else uniroot(slope, ends, tol = 1e-15)$root
  ((p + common) * (1 - p - common) / n + p * (1 - p) / n0) * (n + n0) / (n + n0 - 1)
}, y, n, y0, n0))
statistic_of <- deviance(lm(difference ~ 1, weights = 1 / variance))
save_csv(data.frame(levels_of, statistic = statistic_of, p_value = pchisq(statistic_of, 3, lower.tail = FALSE)),
         "heterogeneity.csv")

sessionInfo()
