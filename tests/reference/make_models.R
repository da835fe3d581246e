# Reference values for the tests of mesostats.estimators.models and crude_risks, written by R beside this script as CSV.
#
#   cd tests/reference && Rscript make_models.R
#
# R 4.2 with the packages gee 4.13, clubSandwich 0.5, numDeriv 2016.8 and survey 4.1 (Debian: r-cran-gee,
# r-cran-clubsandwich, r-cran-numderiv, r-cran-survey). Nothing is random: the data are made of a congruential sequence.
# The R call that made a number stands at its place below.

suppressPackageStartupMessages({
  library(gee)
  library(clubSandwich)
  library(numDeriv)
  library(survey)
})
options(digits = 15, warn = 1, survey.lonely.psu = "fail")

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
made <- function(set, clusters, largest, groups, seed, frailty = 1.2) {
  size <- 1 + floor(uniform(clusters, seed) * largest)
  cluster <- rep(seq_len(clusters), size)
  n <- length(cluster)
  u <- matrix(uniform(4 * n, seed + 1), n)
  x <- round(qnorm(u[, 1]) * 10 + 40, 1)
  site <- c("arm", "face", "neck")[1 + floor(u[, 2] * 3)]
  lean <- plogis((x - 40) / 10 + (site == "face") - 0.3)
  group <- if (groups == 1) "only" else ifelse(u[, 3] < lean, if (groups == 3) ifelse(u[, 3] < lean / 2, "much", "some") else "some", "none")
  frail <- frailty * qnorm(uniform(clusters, seed + 2))[cluster]
  chance <- plogis(-1.2 + 0.6 * (group != "none") + (x - 40) / 20 + 0.8 * (site == "face") + frail)
  data.frame(set = set, cluster = cluster, outcome = as.integer(u[, 4] < chance), group = group, x = x, site = site)
}
observed <- rows(list(
  made("clinic", 40, 7, 2, 11),
  made("few", 14, 8, 2, 23),
  made("three", 60, 5, 3, 37),
  made("many", 150, 9, 2, 41, 0.7),
  made("alone", 160, 1, 2, 59)             # every cluster has one observation
))
save_csv(observed, "model_observations.csv")
sets <- split(observed, factor(observed$set, unique(observed$set)))

# --- marginal risks ---------------------------------------------------------------------------------------------

level <- 0.95
summarised <- function(set, method, labels, risks, covariance, df, ratios = TRUE) {
  q <- qt(1 - (1 - level) / 2, df)
  one <- function(estimand, group, value, gradient, link, inverse, slope, tested) {
    se <- sqrt(drop(t(gradient) %*% covariance %*% gradient))
    on_link <- se * abs(slope)
    statistic <- if (tested) link(value) / on_link else NA
    data.frame(set = set, method = method, group = group, estimand = estimand, estimate = value,
               std_error = if (estimand == "risk_ratio") on_link else se,
               conf_low = inverse(link(value) - q * on_link), conf_high = inverse(link(value) + q * on_link),
               statistic = statistic, df = df, p_value = 2 * pt(-abs(statistic), df))
  }
  unit <- function(i) as.numeric(seq_along(risks) == i)
  rows(c(
    lapply(seq_along(risks), function(i) {
      one("risk", labels[i], risks[i], unit(i), qlogis, plogis, 1 / (risks[i] * (1 - risks[i])), FALSE)
    }),
    lapply(seq_along(risks)[-1], function(i) {
      one("risk_difference", labels[i], risks[i] - risks[1], unit(i) - unit(1), identity, identity, 1, TRUE)
    }),
    if (ratios) lapply(seq_along(risks)[-1], function(i) {
      ratio <- risks[i] / risks[1]
      one("risk_ratio", labels[i], ratio, unit(i) / risks[1] - unit(1) * risks[i] / risks[1]^2, log, exp, 1 / ratio, TRUE)
    })
  ))
}
levels_of <- function(d) c("none", setdiff(sort(unique(d$group)), "none"))

# The covariance of Mancl and DeRouen (2001), formula (4), matrix by matrix as printed there.
mancl_derouen <- function(X, y, cluster, beta, alpha) {
  blocks <- lapply(split(seq_along(y), cluster), function(i) {
    mu <- plogis(drop(X[i, , drop = FALSE] %*% beta))
    A <- diag(mu * (1 - mu), length(i))
    R <- matrix(alpha, length(i), length(i)); diag(R) <- 1
    list(D = A %*% X[i, , drop = FALSE], V = sqrt(A) %*% R %*% sqrt(A), r = y[i] - mu)
  })
  bread <- solve(Reduce(`+`, lapply(blocks, function(b) t(b$D) %*% solve(b$V) %*% b$D)))
  meat <- Reduce(`+`, lapply(blocks, function(b) {
    H <- b$D %*% bread %*% t(b$D) %*% solve(b$V)
    u <- t(b$D) %*% solve(b$V) %*% solve(diag(length(b$r)) - H) %*% b$r
    u %*% t(u)
  }))
  bread %*% meat %*% bread
}

coefficients <- list()
gee_risks <- rows(lapply(sets, function(d) {
  d$group <- factor(d$group, levels_of(d))
  formula <- outcome ~ x + site + group
  X <- model.matrix(formula, d)
  if (d$set[1] == "alone") {               # no pairs: clubSandwich's CR3 of a plain logistic regression
    fit <- glm(formula, binomial, d, control = list(epsilon = 1e-14))
    beta <- coef(fit)
    V <- as.matrix(vcovCR(fit, cluster = d$cluster, type = "CR3"))
    alpha <- 0
  } else {
    capture.output(suppressMessages(fit <- gee(formula, id = d$cluster, data = d, family = binomial,
                                               corstr = "exchangeable", tol = 1e-12, maxiter = 200)))
    beta <- fit$coefficients
    alpha <- fit$working.correlation[1, 2]
    V <- mancl_derouen(X, d$outcome, d$cluster, beta, alpha)
  }
  coefficients[[d$set[1]]] <<- data.frame(set = d$set[1], correlation = alpha)
  risks_at <- function(b) sapply(levels(d$group), function(g) {
    mean(plogis(model.matrix(formula, transform(d, group = factor(g, levels(d$group)))) %*% b))
  })
  J <- jacobian(risks_at, beta)
  summarised(d$set[1], "gee", levels(d$group), unname(risks_at(beta)), J %*% V %*% t(J), max(d$cluster) - ncol(X))
}))
save_csv(rows(coefficients), "model_correlation.csv")

# Inverse probability weights as stacked estimating equations, their derivative taken numerically (Lunceford and
# Davidian 2004; Stefanski and Boos 2002).
iptw_risks <- rows(lapply(sets[names(sets) != "three"], function(d) {
  a <- as.numeric(d$group != "none")
  fit <- glm(a ~ x + site, binomial, d, control = list(epsilon = 1e-14))
  X <- model.matrix(fit)
  y <- d$outcome
  equations <- function(theta) {
    e <- plogis(drop(X %*% theta[seq_len(ncol(X))]))
    risks <- theta[ncol(X) + 1:2]
    cbind((a - e) * X, (1 - a) / (1 - e) * (y - risks[1]), a / e * (y - risks[2]))
  }
  e <- fitted(fit)
  risks <- c(weighted.mean(y, (1 - a) / (1 - e)), weighted.mean(y, a / e))
  theta <- c(coef(fit), risks)
  A <- solve(jacobian(function(t) colSums(equations(t)), theta))
  k <- max(d$cluster)
  meat <- crossprod(rowsum(equations(theta), d$cluster)) * k / (k - 1)
  V <- (A %*% meat %*% t(A))[ncol(X) + 1:2, ncol(X) + 1:2]
  found <- summarised(d$set[1], "iptw", c("none", "some"), risks, V, k - ncol(X))
  w <- ifelse(a == 1, 1 / e, 1 / (1 - e))
  spread <- function(v) sqrt((mean((v[a == 1] - mean(v[a == 1]))^2) + mean((v[a == 0] - mean(v[a == 0]))^2)) / 2)
  # every level but the most frequent one, as the dummy coding has them
  usual <- names(which.max(table(d$site)))
  columns <- cbind(d$x, sapply(setdiff(sort(unique(d$site)), usual), function(s) as.numeric(d$site == s)))
  left <- apply(columns, 2, function(v) {
    (weighted.mean(v[a == 1], w[a == 1]) - weighted.mean(v[a == 0], w[a == 0])) / spread(v)
  })
  effective <- sapply(0:1, function(g) sum(w[a == g])^2 / sum(w[a == g]^2))
  cbind(found, effective_none = effective[1], effective_some = effective[2], imbalance = max(abs(left)))
}))
save_csv(gee_risks, "standardized_risks.csv")
save_csv(iptw_risks, "weighted_risks.csv")

# --- crude differences ------------------------------------------------------------------------------------------

# A linear model of the outcome on the group in a survey design with patients as clusters: svyglm. Its coefficients are the
# differences of proportions, with linearised variances. svyby gives the risks' own covariance.
save_csv(rows(lapply(sets, function(d) {
  d$group <- factor(d$group, levels_of(d))
  design <- svydesign(ids = ~cluster, weights = ~one, data = transform(d, one = 1))
  fit <- svyglm(outcome ~ group, design)
  risks <- svyby(~outcome, ~group, design, svymean, covmat = TRUE)
  V <- vcov(risks)
  df <- degf(design)
  rows(lapply(levels(d$group)[-1], function(g) {
    name <- paste0("group", g)
    estimate <- coef(fit)[[name]]
    se <- sqrt(vcov(fit)[name, name])
    data.frame(set = d$set[1], group = g, estimate = estimate, std_error = se, statistic = estimate / se, df = df,
               p_value = 2 * pt(-abs(estimate / se), df),
               correlation = V["none", g] / sqrt(V["none", "none"] * V[g, g]))
  }))
})), "crude_differences.csv")

sessionInfo()
