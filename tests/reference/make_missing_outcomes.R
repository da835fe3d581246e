# Reference values for the tests of missing outcomes, written by R beside this script as CSV.
#
#   cd tests/reference && Rscript make_missing_outcomes.R
#
# R 4.2 with the packages mice 3.15, MCMCpack 1.6 and numDeriv 2016.8 (Debian: r-cran-mice, r-cran-mcmcpack, r-cran-numderiv). The
# data are made of a congruential sequence; only imputations are random. The R call that made a number stands at its place below.

suppressPackageStartupMessages({
  library(mice)
  library(MCMCpack)
  library(numDeriv)
})
options(digits = 15, warn = 1)

save_csv <- function(frame, name) write.csv(frame, name, row.names = FALSE, quote = FALSE)
rows <- function(parts) do.call(rbind, parts)

# --- data -------------------------------------------------------------------------------------------------------

uniform <- function(n, seed) {            # Park and Miller 1988
  state <- seed
  sapply(seq_len(n), function(i) {
    state <<- (48271 * state) %% 2147483647
    state / 2147483647
  })
}
made <- function(set, clusters, largest, seed, separated = FALSE) {
  size <- 1 + floor(uniform(clusters, seed) * largest)
  cluster <- rep(seq_len(clusters), size)
  n <- length(cluster)
  u <- matrix(uniform(5 * n, seed + 1), n)
  baseline <- round(qnorm(u[, 1]) * 5 + 20, 1)
  left <- as.integer(u[, 2] < 0.35)
  site <- c("arm", "face", "neck")[1 + floor(u[, 3] * 3)]
  responded <- as.integer(u[, 4] < plogis(0.4 - 1.1 * left + (baseline - 20) / 12))
  observed <- as.integer(u[, 5] < plogis(1.8 - 1.9 * left + 0.4 * (site == "face")))
  if (separated) observed <- ifelse(left == 1, observed, 1)   # whoever stayed was assessed
  data.frame(set = set, cluster = cluster, observed = observed, responded = ifelse(observed == 1, responded, NA),
             left = left, baseline = baseline, site = site)
}
observed <- rows(list(
  made("clinic", 120, 1, 11),
  made("clustered", 60, 4, 23),
  made("small", 30, 2, 37),
  made("separated", 90, 1, 61, TRUE)
))
save_csv(observed, "missing_outcomes.csv")
sets <- split(observed, factor(observed$set, unique(observed$set)))

# --- inverse probability of observation weights -----------------------------------------------------------------

# Stacked estimating equations, their derivative taken numerically (Stefanski and Boos 2002). The interval is Wilson's
# at the sample size that the variance is worth, at most that of the weights, with the quantile of t.
wilson <- function(p, n, q) {
  ((p + q^2 / (2 * n)) + c(-1, 1) * q * sqrt(p * (1 - p) / n + q^2 / (4 * n^2))) / (1 + q^2 / n)
}
save_csv(rows(lapply(sets[names(sets) != "separated"], function(d) {
  fit <- glm(observed ~ left + baseline + site, binomial, d, control = list(epsilon = 1e-14))
  X <- model.matrix(fit)
  r <- d$observed
  y <- ifelse(r == 1, d$responded, 0)
  equations <- function(theta) {
    e <- plogis(drop(X %*% theta[seq_len(ncol(X))]))
    cbind((r - e) * X, r / e * (y - theta[ncol(X) + 1]))
  }
  p <- weighted.mean(y[r == 1], 1 / fitted(fit)[r == 1])
  theta <- c(coef(fit), p)
  A <- solve(jacobian(function(t) colSums(equations(t)), theta))
  k <- max(d$cluster)
  V <- (A %*% crossprod(rowsum(equations(theta), d$cluster)) %*% t(A) * k / (k - 1))[length(theta), length(theta)]
  df <- k - ncol(X)
  w <- mean(r) / fitted(fit)[r == 1]
  limits <- wilson(p, min(p * (1 - p) / V, sum(w)^2 / sum(w^2)), qt(0.975, df))
  data.frame(set = d$set[1], estimate = p, std_error = sqrt(V), conf_low = limits[1], conf_high = limits[2], df = df,
             smallest = min(w), largest = max(w), effective = sum(w)^2 / sum(w^2))
})), "observation_weights.csv")

# --- pseudo-observations against separation -----------------------------------------------------------------------

# The rows of mice's own function; the outcome here is that of being observed, in all rows. mice weighs the two outcomes
# alike, ours by their observed shares, so that the overall share is not pulled to one half.
weighed <- function(a, y) {
  share <- mean(y)
  added <- seq_along(a$y) > length(y)
  ifelse(added, a$w * 2 * ifelse(a$y == 1, share, 1 - share), a$w)
}
augmented <- local({
  d <- sets$separated
  x <- cbind(left = d$left, baseline = d$baseline)
  a <- mice:::augment(d$observed, rep(TRUE, nrow(d)), x, c(rep(FALSE, nrow(d) - 2), TRUE, TRUE))
  fit <- glm.fit(cbind(1, as.matrix(a$x)), a$y, weights = weighed(a, d$observed), family = quasibinomial(), control = list(epsilon = 1e-14))
  data.frame(term = c("constant", "left", "baseline"), coefficient = unname(coef(fit)),
             model_error = sqrt(diag(summary.glm(fit)$cov.unscaled)))
})
# The example of the docstring: four without the covariate, of whom nobody, and four with it, of whom three had the outcome.
example <- local({
  x <- cbind(x = rep(0:1, each = 4))
  y <- c(0, 0, 0, 0, 0, 1, 1, 1)
  a <- mice:::augment(y, rep(TRUE, 8), x, rep(FALSE, 8))
  fit <- glm.fit(cbind(1, as.matrix(a$x)), a$y, weights = weighed(a, y), family = quasibinomial(), control = list(epsilon = 1e-14))
  data.frame(term = c("example constant", "example x"), coefficient = unname(coef(fit)),
             model_error = sqrt(diag(summary.glm(fit)$cov.unscaled)))
})
save_csv(rbind(augmented, example), "augmented_logistic.csv")

# --- Rubin's rules --------------------------------------------------------------------------------------------------

pooled <- list(
  list(name = "few", q = c(0.31, 0.36, 0.33, 0.40, 0.35), u = c(0.0041, 0.0044, 0.0040, 0.0047, 0.0043), n = 41, k = 1),
  list(name = "large sample", q = c(1.2, 0.9, 1.4, 1.1), u = c(0.09, 0.10, 0.08, 0.11), n = Inf, k = 1),
  list(name = "much missing", q = -1 + 2 * uniform(20, 5), u = 0.02 + 0.01 * uniform(20, 9), n = 61, k = 1),
  list(name = "little missing", q = 0.5 + 0.02 * uniform(50, 13), u = rep(0.0025, 50), n = 101, k = 1)
)
save_csv(rows(lapply(pooled, function(each) {
  found <- pool.scalar(each$q, each$u, n = each$n, k = each$k)
  half <- qt(0.975, found$df) * sqrt(found$t)
  data.frame(name = each$name, estimate = found$qbar, std_error = sqrt(found$t), conf_low = found$qbar - half,
             conf_high = found$qbar + half, df = found$df, within = found$ubar, between = found$b,
             relative_increase = found$r, fraction_missing = found$fmi, df_complete = each$n - each$k)
})), "rubin.csv")
save_csv(rows(lapply(pooled, function(each) data.frame(name = each$name, estimate = each$q, variance = each$u))),
         "rubin_imputations.csv")

# --- multiple imputation --------------------------------------------------------------------------------------------

# The share responding in 4,000 completed data sets of mice (logistic regression): their mean, and the variance between
# them; random, so that the tests compare within a few standard errors of simulation.
# The coefficients are drawn from their posterior distribution under a flat prior (MCMCpack::MCMClogit). Beside it what
# mice.impute.logreg makes of the same data, which draws normally about the estimate of data with pseudo-observations. In the
# set "few" eight of the observed of "clinic" responded.
few <- within(sets$clinic, {
  set <- "few"
  responded <- ifelse(observed == 1, as.integer(seq_along(observed) %in% which(observed == 1)[seq(5, 61, 8)]), NA)
})
save_csv(few, "few_responders.csv")
save_csv(rows(lapply(list(clinic = sets$clinic, clustered = sets$clustered, few = few), function(d) {
  frame <- data.frame(responded = factor(d$responded), left = d$left, baseline = d$baseline, site = factor(d$site))
  known <- subset(transform(frame, responded = as.integer(as.character(responded))), !is.na(responded))
  known$baseline <- known$baseline - 20               # centred: the chain mixes better, the posterior is the same
  drawn <- MCMClogit(responded ~ left + baseline + site, data = known, b0 = 0, B0 = 0, burnin = 20000, mcmc = 2000000, thin = 500,
                     seed = 1)
  x <- model.matrix(~ left + I(baseline - 20) + site, frame[is.na(frame$responded), -1])
  set.seed(1)
  shares <- apply(drawn, 1, function(beta) (sum(known$responded) + sum(runif(nrow(x)) <= plogis(x %*% beta))) / nrow(d))
  imputed <- mice(frame, m = 4000, method = c("logreg", "", "", ""), maxit = 1, seed = 1, printFlag = FALSE)
  of_mice <- sapply(seq_len(4000), function(i) mean(complete(imputed, i)$responded == "1"))
  data.frame(set = d$set[1], model = "logistic", mean = mean(shares), between = var(shares), imputations = 4000,
             mean_mice = mean(of_mice), between_mice = var(of_mice))
})), "imputed_shares_logistic.csv")
save_csv(rows(lapply(c("clinic", "clustered"), function(name) {
  d <- sets[[name]]
  score <- d$baseline * 0.6 + 4 * d$left + 6 * uniform(nrow(d), 77)     # a measurement; below 14 is a response
  frame <- data.frame(score = ifelse(d$observed == 1, score, NA), left = d$left, baseline = d$baseline, site = factor(d$site))
  imputed <- mice(frame, m = 4000, method = c("norm", "", "", ""), maxit = 1, seed = 1, printFlag = FALSE)
  shares <- sapply(seq_len(4000), function(i) mean(complete(imputed, i)$score <= 14))
  data.frame(set = name, model = "linear", mean = mean(shares), between = var(shares), imputations = 4000)
})), "imputed_shares_linear.csv")
save_csv(rows(lapply(c("clinic", "clustered"), function(name) {
  d <- sets[[name]]
  data.frame(set = name, score = d$baseline * 0.6 + 4 * d$left + 6 * uniform(nrow(d), 77))
})), "missing_scores.csv")

# --- intervals without an assumption ----------------------------------------------------------------------------------

bounds <- data.frame(lowest = c(0.4, 0.05, 0.3, 0.2), highest = c(0.7, 0.10, 0.3, 0.21), n = c(100, 40, 25, 500))
save_csv(cbind(bounds, t(apply(bounds, 1, function(b) {
  s <- sqrt(max(b[1] * (1 - b[1]), b[2] * (1 - b[2])) / b[3])
  gap <- (b[2] - b[1]) / s
  q <- uniroot(function(x) pnorm(x + gap) - pnorm(-x) - 0.95, c(1, 3), tol = 1e-14)$root
  c(conf_low = wilson(b[1], b[3], q)[1], conf_high = wilson(b[2], b[3], q)[2])
}))), "identification_intervals.csv")

sessionInfo()
