# Reference values for the tests of mesostats.estimators, written by R beside this script as CSV.
#
#   cd tests/reference && Rscript make_reference.R
#
# R 4.2 with the packages survival 3.5 and survey 4.1 (Debian: r-cran-survival, r-cran-survey). Nothing is random.
# Every CSV holds the inputs next to what R made of them; the R call that made a number stands at its place below.

library(survival)
suppressPackageStartupMessages(library(survey))
options(digits = 15, warn = 1)

save_csv <- function(frame, name) write.csv(frame, name, row.names = FALSE, quote = FALSE)
rows <- function(parts) do.call(rbind, parts)

# --- proportions ------------------------------------------------------------------------------------------------

agresti_coull <- function(x, n, level) {  # Agresti and Coull 1998: Wald about the Wilson midpoint, cut to [0, 1]
  z <- qnorm(1 - (1 - level) / 2)
  p <- (x + z^2 / 2) / (n + z^2)
  pmin(pmax(p + c(-1, 1) * z * sqrt(p * (1 - p) / (n + z^2)), 0), 1)
}
jeffreys <- function(x, n, level) {       # Brown, Cai and DasGupta 2001, with their rule at 0 and n
  tail <- (1 - level) / 2
  c(if (x == 0) 0 else qbeta(tail, x + 0.5, n - x + 0.5), if (x == n) 1 else qbeta(1 - tail, x + 0.5, n - x + 0.5))
}
proportion_limits <- list(
  wilson = function(x, n, level) suppressWarnings(prop.test(x, n, conf.level = level, correct = FALSE))$conf.int,
  clopper_pearson = function(x, n, level) binom.test(x, n, conf.level = level)$conf.int,
  jeffreys = jeffreys,
  agresti_coull = agresti_coull
)
cases <- data.frame(
  count = c(0, 1, 0, 1, 2, 0, 7, 20, 1, 81, 15, 3, 199, 200, 123456),
  n     = c(1, 1, 2, 2, 2, 20, 20, 20, 29, 263, 148, 200, 200, 200, 10000000)
)
save_csv(rows(lapply(names(proportion_limits), function(method) {
  rows(lapply(c(0.8, 0.95, 0.99), function(level) {
    rows(Map(function(x, n) {
      limits <- proportion_limits[[method]](x, n, level)
      data.frame(count = x, n = n, conf_level = level, method = method,
                 estimate = x / n, std_error = sqrt(x / n * (1 - x / n) / n),
                 conf_low = limits[1], conf_high = limits[2])
    }, cases$count, cases$n))
  }))
})), "proportion.csv")

# --- clusters ---------------------------------------------------------------------------------------------------

clusters <- rows(list(
  data.frame(set = "alike",    y = c(5, 0, 5, 0, 0, 5, 0, 0), n = 5),                # all or nothing in each patient
  data.frame(set = "mixed",    y = c(1, 0, 2, 0, 3, 1, 0, 0, 2, 1, 0, 4), n = c(4, 6, 5, 3, 8, 4, 2, 6, 7, 5, 1, 8)),
  data.frame(set = "spread",   y = c(1, 1, 1, 1, 1, 1), n = 4),                      # less than chance between patients
  data.frame(set = "single",   y = c(0, 1, 0, 0, 1, 0, 1, 0, 0, 0), n = 1),          # one session each
  data.frame(set = "two",      y = c(1, 3), n = c(6, 4)),
  data.frame(set = "none",     y = 0, n = c(3, 4, 5, 6, 2, 2, 9)),
  data.frame(set = "every",    y = c(3, 4, 5), n = c(3, 4, 5)),
  data.frame(set = "many",     y = (seq_len(150) * 7) %% 4, n = 3 + (seq_len(150) * 5) %% 6),
  data.frame(set = "few",      y = as.numeric(seq_len(60) %in% c(11, 47)) * c(1, 2), n = 6)
))
save_csv(clusters, "clusters.csv")

wilson <- function(p, n, q) {             # Wilson 1927 at any n and any quantile q
  centre <- (p + q^2 / (2 * n)) / (1 + q^2 / n)
  half <- q * sqrt(p * (1 - p) / n + q^2 / (4 * n^2)) / (1 + q^2 / n)
  c(centre - half, centre + half)
}
# The linearised variance of a ratio with clusters drawn with replacement: survey::svyratio.
ratio <- function(d) {
  design <- svydesign(ids = ~id, weights = ~one, data = transform(d, id = seq_along(y), one = 1))
  fit <- svyratio(~y, ~n, design)
  list(estimate = as.numeric(coef(fit)), variance = as.numeric(vcov(fit)), df = degf(design))
}
# The intracluster correlation from the mean squares of a one-way analysis of variance: anova(lm()).
icc <- function(d) {
  if (all(d$n == 1) || sum(d$y) %in% c(0, sum(d$n))) return(NA)
  id <- factor(rep(seq_along(d$n), d$n))
  y <- unlist(Map(function(y, n) rep(1:0, c(y, n - y)), d$y, d$n))
  ms <- suppressWarnings(anova(lm(y ~ id)))$"Mean Sq"
  n0 <- (sum(d$n) - sum(d$n^2) / sum(d$n)) / (nrow(d) - 1)
  (ms[1] - ms[2]) / (ms[1] + (n0 - 1) * ms[2])
}
save_csv(rows(lapply(c(0.9, 0.95), function(level) {
  rows(lapply(split(clusters, clusters$set), function(d) {
    fit <- ratio(d)
    p <- fit$estimate
    edge <- p %in% c(0, 1)
    alone <- all(d$n == 1)              # nothing is clustered: Wilson's interval for independent observations
    deff <- if (edge) NA else if (alone) 1 else max(1, fit$variance / (p * (1 - p) / sum(d$n)))
    n_eff <- if (edge) nrow(d) else sum(d$n) / deff
    limits <- if (alone) proportion_limits$wilson(sum(d$y), nrow(d), level)
              else wilson(p, n_eff, qt(1 - (1 - level) / 2, fit$df))
    data.frame(set = d$set[1], conf_level = level, estimate = p, std_error = sqrt(p * (1 - p) / n_eff),
               conf_low = limits[1], conf_high = limits[2], df = if (alone) NA else fit$df, numerator = sum(d$y), denominator = sum(d$n),
               icc = icc(d), design_effect = deff, effective_n = n_eff, ratio_variance = fit$variance)
  }))
})), "clustered_proportion.csv")

# --- rates ------------------------------------------------------------------------------------------------------

mid_p <- function(x, level) {             # Cohen and Yang 1994, by uniroot
  tail <- (1 - level) / 2
  solve_for <- function(f, range) uniroot(f, range, tol = 1e-14, maxiter = 10000)$root
  top <- 10 * (x + 10)
  at_least <- function(m) ppois(x, m, lower.tail = FALSE) + dpois(x, m) / 2 - tail
  at_most <- function(m) ppois(x - 1, m) + dpois(x, m) / 2 - tail
  c(if (x == 0) 0 else solve_for(at_least, c(1e-12, x)), solve_for(at_most, c(x / 2, top)))
}
rate_limits <- list(
  garwood = function(x, t, level) poisson.test(x, t, conf.level = level)$conf.int,
  mid_p = function(x, t, level) mid_p(x, level) / t
)
cases <- data.frame(events = c(0, 0, 1, 2, 3, 10, 41, 250, 5000), exposure = c(10, 0.5, 1, 36.5, 7, 10, 1234.5, 900, 1e6))
save_csv(rows(lapply(names(rate_limits), function(method) {
  rows(lapply(c(0.8, 0.95, 0.99), function(level) {
    rows(Map(function(x, t) {
      limits <- rate_limits[[method]](x, t, level)
      data.frame(events = x, exposure = t, conf_level = level, method = method,
                 estimate = x / t, std_error = sqrt(x) / t, conf_low = limits[1], conf_high = limits[2])
    }, cases$events, cases$exposure))
  }))
})), "rate.csv")

exposures <- rows(list(
  data.frame(set = "frail",  y = c(0, 9, 1, 0, 0, 4, 2, 0, 1, 0), n = c(3.5, 6, 2.25, 7, 1, 6, 5.5, 4, 8, 0.5)),
  data.frame(set = "equal",  y = c(2, 2, 2, 2), n = 5),                              # less than chance between patients
  data.frame(set = "two",    y = c(3, 1), n = c(2, 4)),
  data.frame(set = "silent", y = 0, n = c(3, 2.5, 7)),
  data.frame(set = "many",   y = (seq_len(120)^2 * 3) %% 11, n = 1 + (seq_len(120) * 7) %% 13 / 2)
))
save_csv(exposures, "exposures.csv")
save_csv(rows(lapply(c(0.9, 0.95), function(level) {
  rows(lapply(split(exposures, exposures$set), function(d) {
    fit <- ratio(d)
    silent <- sum(d$y) == 0
    k <- nrow(d)
    kish <- sum(d$n)^2 / sum(d$n^2)
    variance <- fit$variance * (k - 1) / k * (kish / (kish - 1))^2
    deff <- if (silent) NA else max(1, variance / (sum(d$y) / sum(d$n)^2))
    se <- if (silent) 0 else sqrt(deff * sum(d$y)) / sum(d$n)
    tail <- (1 - level) / 2
    events <- sum(d$y) / deff * (qnorm(tail) / qt(tail, kish - 1))^2
    exact <- poisson.test(sum(d$y), sum(d$n), conf.level = level)$conf.int
    data.frame(set = d$set[1], conf_level = level, estimate = fit$estimate, std_error = se,
               conf_low = if (silent) exact[1] else fit$estimate / events * qgamma(tail, events),
               conf_high = if (silent) exact[2] else fit$estimate / events * qgamma(1 - tail, events + 1),
               df = kish - 1, numerator = sum(d$y), denominator = sum(d$n), design_effect = deff,
               ratio_variance = fit$variance)
  }))
})), "clustered_rate.csv")

# --- survival ---------------------------------------------------------------------------------------------------

person <- function(set, time, event, weight = 1, group = 1, stratum = 1) {
  data.frame(set = set, time = time, event = event, weight = weight, group = group, stratum = stratum)
}
# Freireich et al. 1963: weeks of remission under 6-mercaptopurine (group 1) and placebo (group 2).
weeks <- c(6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35,
           1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23)
relapse <- c(1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, rep(1, 21))
people <- rows(list(
  person("freireich", weeks, relapse, group = rep(1:2, each = 21)),
  with(veteran, person("veteran", time, status, group = as.integer(celltype), stratum = trt)),
  with(veteran, person("veteran_weighted", time, status, weight = seq_along(time) %% 5,
                       group = as.integer(celltype), stratum = trt)),
  with(ovarian, person("ovarian", futime, fustat, group = rx, stratum = resid.ds)),
  person("ties_at_zero", c(0, 0, 1, 1, 3, 3, 5), c(1, 0, 1, 0, 1, 0, 0), c(5, 2, 3, 1, 4, 6, 2), c(1, 2, 1, 2, 1, 2, 2)),
  person("no_censoring", c(1, 2, 2, 3, 4, 7, 9, 9), 1, group = c(1, 2, 1, 2, 1, 2, 1, 2)),
  person("plateau", 1:10, c(1, 1, 1, 1, 1, 0, 1, 0, 0, 0), group = rep(1:2, 5)),
  person("early_censoring", c(1, 2, 2, 3, 4, 4, 5), c(0, 1, 0, 1, 1, 1, 1), group = c(1, 1, 1, 2, 2, 2, 2)),
  person("all_censored", c(1, 2, 3), 0, group = c(1, 2, 2)),
  person("one_event", 3, 1),
  person("one_censored", 3, 0),
  person("late_group", c(1, 2, 3, 4, 5, 6, 0.5), c(1, 1, 0, 1, 0, 1, 0), group = c(1, 2, 1, 2, 1, 2, 3))
))
save_csv(people, "people.csv")
sets <- split(people, factor(people$set, unique(people$set)))

# survfit() with frequency weights. summary() prints the same numbers; std.err in the object is that of log S.
curve_of <- function(d, type, level = 0.95) {
  survfit(Surv(time, event) ~ 1, data = d[d$weight > 0, ], weights = weight, conf.type = type, conf.int = level)
}
settings <- list(list(type = "log-log", level = 0.95), list(type = "log", level = 0.95), list(type = "log-log", level = 0.8))
each_curve <- function(f) {
  rows(lapply(settings, function(s) {
    rows(lapply(sets, function(d) {
      out <- f(curve_of(d, s$type, s$level), d)
      if (is.null(out)) NULL else cbind(set = d$set[1], conf_type = s$type, conf_level = s$level, out)
    }))
  }))
}
# Before the first event survfit() has no log-log limits: there, the lower limit of binom.test() for n of n; else NA.
all_free <- function(surv, n, level) {
  mapply(function(s, n) if (s == 1) binom.test(n, n, conf.level = level)$conf.int[1] else NA, surv, n)
}
save_csv(each_curve(function(fit, d) {
  data.frame(time = fit$time, at_risk = fit$n.risk, events = fit$n.event, censored = fit$n.censor,
             estimate = fit$surv, std_error = fit$surv * fit$std.err, conf_low = fit$lower, conf_high = fit$upper,
             exact_low = all_free(fit$surv, fit$n.risk, fit$conf.int))
}), "kaplan_meier.csv")

probs <- c(0.1, 0.2, 0.25, 0.5, 0.75, 0.9)
# From when on so few are at risk, none having had the event, that binom.test() of n free of it, of n, does not reject a
# probability 1 - q to be free of it; NA where there is no such time. Two-sided, as twice the lesser tail.
open_from <- function(fit, q, level) {
  n <- fit$n.risk[cumsum(fit$n.event) == fit$n.event]
  rejected <- sapply(n, function(n) 2 * binom.test(n, n, 1 - q, "greater")$p.value < 1 - level)
  c(0, fit$time)[which(!rejected)[1]]
}
save_csv(each_curve(function(fit, d) {
  found <- quantile(fit, probs)           # quantile.survfit
  data.frame(q = probs, estimate = as.numeric(found$quantile),
             conf_low = as.numeric(found$lower), conf_high = as.numeric(found$upper),
             open_from = sapply(probs, function(q) open_from(fit, q, fit$conf.int)))
}), "quantile.csv")

# The restricted mean and its standard error as print(survfit(), rmean = tau) prints them, unrounded. R refuses a tau
# before the first time. The interval has the variance with n/(n - 1), and Student's t.
save_csv(rows(lapply(sets, function(d) {
  fit <- curve_of(d, "log-log")
  last <- max(fit$time)
  n <- sum(d$weight)
  rows(lapply(unique(pmax(c(last / 3, last * 0.7, last), fit$time[1])), function(tau) {
    found <- summary(fit, rmean = tau)$table
    half <- if (n > 1) found[["se(rmean)"]] * sqrt(n / (n - 1)) * qt(0.975, n - 1) else NA
    if (!is.na(half) && half == 0) half <- NA
    data.frame(set = d$set[1], tau = tau, persons = n, estimate = found[["rmean"]], std_error = found[["se(rmean)"]],
               conf_low = max(0, found[["rmean"]] - half), conf_high = min(tau, found[["rmean"]] + half))
  }))
})), "restricted_mean.csv")

# survdiff() takes no weights: each row is repeated as often as it counts.
save_csv(rows(lapply(c("freireich", "veteran", "veteran_weighted", "ovarian", "ties_at_zero", "no_censoring", "plateau",
                       "early_censoring", "late_group"), function(name) {
  d <- sets[[name]]
  d <- d[rep(seq_len(nrow(d)), d$weight), ]
  one <- function(fit, stratified) {
    expected <- if (is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp
    df <- sum(expected > 0) - 1
    observed <- if (is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs
    persons <- if (is.matrix(fit$n)) rowSums(fit$n) else as.numeric(fit$n)
    data.frame(set = name, stratified = stratified, statistic = fit$chisq, df = df,
               p_value = pchisq(fit$chisq, df, lower.tail = FALSE), group = seq_along(expected),
               persons = persons, observed = observed, expected = expected)
  }
  rbind(one(survdiff(Surv(time, event) ~ group, data = d), 0),
        if (length(unique(d$stratum)) > 1) one(survdiff(Surv(time, event) ~ group + strata(stratum), data = d), 1))
})), "logrank.csv")

# --- life table -------------------------------------------------------------------------------------------------

# A schedule's steps: the hazard by prop.test(); retention by survfit() on one person a row, where those who are at
# risk at a step and not at the next without being lost are censored.
steps <- list(
  clinic = list(events = c(5, 9, 0, 4, 2), at_risk = c(50, 41, 30, 28, 17)),
  quiet = list(events = c(0, 0, 1, 0), at_risk = c(12, 11, 9, 4)),
  emptied = list(events = c(2, 3), at_risk = c(5, 3))
)
save_csv(rows(lapply(names(steps), function(name) {
  d <- steps[[name]]$events
  n <- steps[[name]]$at_risk
  rows(lapply(c(0.9, 0.95), function(level) {
    m <- length(d)
    step <- seq_len(m)
    leaving <- n - c(n[-1], 0)
    fit <- survfit(Surv(rep(step, 2), rep(1:0, each = m)) ~ 1, weights = c(d, leaving - d), subset = c(d, leaving - d) > 0,
                   conf.type = "log-log", conf.int = level)
    at <- summary(fit, times = step, extend = TRUE)
    wilson_at <- mapply(function(x, n) suppressWarnings(prop.test(x, n, conf.level = level, correct = FALSE))$conf.int, d, n)
    data.frame(set = name, conf_level = level, step = step, events = d, at_risk = n, estimate = d / n,
               std_error = sqrt(d / n * (1 - d / n) / n), conf_low = wilson_at[1, ], conf_high = wilson_at[2, ],
               retention = at$surv, retention_std_error = at$std.err, retention_low = at$lower, retention_high = at$upper,
               retention_exact = all_free(at$surv, n, level))
  }))
})), "discrete_hazard.csv")
