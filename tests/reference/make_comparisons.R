# Reference values for the tests of the comparisons of two groups in mesostats.estimators, written by R beside this
# script as CSV.
#
#   cd tests/reference && Rscript make_comparisons.R
#
# R 4.2 with the packages metafor 3.8, glmmTMB 1.1, numDeriv and sandwich 3.0 (Debian: r-cran-metafor, r-cran-glmmtmb,
# r-cran-numderiv, r-cran-sandwich). Nothing is random. Every CSV holds the inputs next to what R made of them.

suppressPackageStartupMessages({
  library(metafor)
  library(glmmTMB)
  library(sandwich)
})
options(digits = 15, warn = 1)

save_csv <- function(frame, name) write.csv(frame, name, row.names = FALSE, quote = FALSE)
rows <- function(parts) do.call(rbind, parts)
levels_used <- c(0.8, 0.95, 0.99)

# Where a function that falls from above 0 to below 0 crosses it.
root <- function(f, low, high) uniroot(f, c(low, high), tol = 1e-15, maxiter = 10000)$root

tables <- data.frame(
  x  = c(56, 9, 6, 5, 0, 0, 10, 10, 10, 0, 1, 0, 1, 3, 36, 0, 1, 2, 40, 123, 7),
  n  = c(70, 10, 7, 56, 10, 10, 10, 10, 10, 10, 1, 1, 1, 4, 40, 1, 12, 200, 41, 100000, 7),
  x0 = c(48, 3, 2, 0, 0, 0, 0, 0, 20, 20, 0, 0, 1, 1, 16, 1, 0, 1, 39, 60, 5),
  n0 = c(80, 10, 7, 29, 20, 10, 20, 10, 20, 20, 1, 1, 1, 4, 80, 9, 1, 190, 41, 90000, 5)
)
each_table <- function(f) {
  rows(lapply(levels_used, function(level) {
    rows(Map(function(x, n, x0, n0) {
      cbind(data.frame(x = x, n = n, x0 = x0, n0 = n0, conf_level = level), f(x, n, x0, n0, level))
    }, tables$x, tables$n, tables$x0, tables$n0))
  }))
}

# --- risk difference --------------------------------------------------------------------------------------------

# The proportion of the reference group under a difference d, by solving the likelihood equation; Miettinen and
# Nurminen (1985) solve it as a cubic.
restricted_difference <- function(x, n, x0, n0, d) {
  low <- max(0, -d)
  high <- min(1, 1 - d)
  score <- function(p) {                  # times p(1 - p)(p + d)(1 - p - d), so that it is finite at the ends
    q <- p + d
    x * p * (1 - p) * (1 - q) - (n - x) * p * (1 - p) * q + x0 * (1 - p) * q * (1 - q) - (n0 - x0) * p * q * (1 - q)
  }
  loglik <- function(p) dbinom(x, n, min(max(p + d, 0), 1), log = TRUE) + dbinom(x0, n0, p, log = TRUE)
  inner <- tryCatch(root(score, low + 1e-13, high - 1e-13), error = function(e) NA)
  candidates <- c(low, high, inner)[!is.na(c(low, high, inner))]
  candidates[which.max(vapply(candidates, loglik, 0))]
}
variance_difference <- function(x, n, x0, n0, d) {
  q0 <- restricted_difference(x, n, x0, n0, d)
  q <- min(max(q0 + d, 0), 1)
  (q * (1 - q) / n + q0 * (1 - q0) / n0) * (n + n0) / (n + n0 - 1)
}
miettinen_nurminen <- function(x, n, x0, n0, level, w = 1) {  # vectors are strata, w their weights
  z <- qnorm(1 - (1 - level) / 2)
  w <- w / sum(w)
  d <- sum(w * (x / n - x0 / n0))
  excess <- function(delta, side) side * (d - delta) - z * sqrt(sum(w^2 * mapply(variance_difference, x, n, x0, n0, delta)))
  step <- 1e-9                            # beside the estimate itself, where the variance can be 0
  c(if (d <= -1) -1 else root(function(delta) excess(delta, 1), -1, d - step),
    if (d >= 1) 1 else root(function(delta) excess(delta, -1), d + step, 1))
}
wilson <- function(x, n, level) suppressWarnings(prop.test(x, n, conf.level = level, correct = FALSE))$conf.int
newcombe <- function(x, n, x0, n0, level) {
  a <- wilson(x, n, level)
  b <- wilson(x0, n0, level)
  p <- x / n
  p0 <- x0 / n0
  c(p - p0 - sqrt((p - a[1])^2 + (b[2] - p0)^2), p - p0 + sqrt((a[2] - p)^2 + (p0 - b[1])^2))
}
save_csv(each_table(function(x, n, x0, n0, level) {
  score <- miettinen_nurminen(x, n, x0, n0, level)
  hybrid <- newcombe(x, n, x0, n0, level)
  # Pearson's chi-squared, times (N - 1)/N; 0 where it is 0/0
  chi <- suppressWarnings(chisq.test(rbind(c(x, n - x), c(x0, n0 - x0)), correct = FALSE))$statistic
  chi <- if (is.na(chi)) 0 else unname(chi) * (n + n0 - 1) / (n + n0)
  p <- x / n
  p0 <- x0 / n0
  data.frame(estimate = p - p0, std_error = sqrt(p * (1 - p) / n + p0 * (1 - p0) / n0),
             conf_low = score[1], conf_high = score[2], newcombe_low = hybrid[1], newcombe_high = hybrid[2],
             statistic = sign(p - p0) * sqrt(chi), p_value = pchisq(chi, 1, lower.tail = FALSE))
}), "risk_difference.csv")

# --- risk ratio -------------------------------------------------------------------------------------------------

koopman <- function(x, n, x0, n0, level) {
  if (x + x0 == 0) return(c(NA, NA))
  z <- qnorm(1 - (1 - level) / 2)
  excess <- function(log_r, side) {
    r <- exp(log_r)
    # the likelihood equation as a quadratic: (n + n0)r·p² - ((n + x0)r + x + n0)p + x + x0 = 0
    b <- (n + x0) * r + x + n0
    q0 <- min((b - sqrt(max(b^2 - 4 * (n + n0) * r * (x + x0), 0))) / (2 * (n + n0) * r), 1)
    q <- min(r * q0, 1)
    side * (x / n - r * x0 / n0) - z * sqrt(q * (1 - q) / n + r^2 * q0 * (1 - q0) / n0)
  }
  at <- log((x / n) / (x0 / n0))
  step <- 1e-7
  c(if (x == 0) 0 else exp(root(function(r) excess(r, 1), -9, if (x0 == 0) 14 else at - step)),
    if (x0 == 0) Inf else exp(root(function(r) excess(r, -1), if (x == 0) -14 else at + step, 9)))
}
save_csv(each_table(function(x, n, x0, n0, level) {
  limits <- koopman(x, n, x0, n0, level)
  chi <- suppressWarnings(chisq.test(rbind(c(x, n - x), c(x0, n0 - x0)), correct = FALSE))
  everybody <- x == n && x0 == n0
  data.frame(estimate = (x / n) / (x0 / n0),
             std_error = if (x > 0 && x0 > 0) sqrt(1 / x - 1 / n + 1 / x0 - 1 / n0) else NA,
             conf_low = limits[1], conf_high = limits[2],
             statistic = if (everybody) 0 else sign(x / n - x0 / n0) * sqrt(unname(chi$statistic)),
             p_value = if (everybody) 1 else chi$p.value)
}), "risk_ratio.csv")

# --- odds ratio -------------------------------------------------------------------------------------------------

# The equations of fisher.test(), whose own uniroot() stops at a tolerance of 1e-4.
exact_odds <- function(x, n, x0, n0, level) {
  m <- x + x0
  support <- max(0, m - n0):min(n, m)
  if (length(support) == 1) return(c(NA, NA, NA))
  prob <- function(log_odds) {
    w <- dhyper(support, n, n0, m, log = TRUE) + log_odds * support
    exp(w - max(w)) / sum(exp(w - max(w)))
  }
  tail <- (1 - level) / 2
  solve_for <- function(f) exp(root(f, -30, 30))
  at_low <- x == min(support)
  at_high <- x == max(support)
  c(if (at_low) 0 else if (at_high) Inf else solve_for(function(t) sum(support * prob(t)) - x),
    if (at_low) 0 else solve_for(function(t) sum(prob(t)[support >= x]) - tail),
    if (at_high) Inf else solve_for(function(t) sum(prob(t)[support <= x]) - tail))
}
save_csv(each_table(function(x, n, x0, n0, level) {
  test <- fisher.test(rbind(c(x, n - x), c(x0, n0 - x0)), conf.level = level)
  found <- exact_odds(x, n, x0, n0, level)
  data.frame(estimate = found[1], conf_low = found[2], conf_high = found[3], p_value = test$p.value,
             fisher_estimate = unname(test$estimate), fisher_low = test$conf.int[1], fisher_high = test$conf.int[2])
}), "odds_ratio.csv")

# --- strata -----------------------------------------------------------------------------------------------------

bcg <- metadat::dat.bcg                   # 13 trials of BCG against tuberculosis (Colditz 1994)
strata <- rows(list(
  data.frame(set = "clinics", x = c(4, 6), n = c(10, 20), x0 = c(2, 4), n0 = c(10, 20)),
  data.frame(set = "bcg", x = bcg$tpos, n = bcg$tpos + bcg$tneg, x0 = bcg$cpos, n0 = bcg$cpos + bcg$cneg),
  with(as.data.frame.table(UCBAdmissions), {  # admission of men (group) and women, six departments
    cell <- function(g, a) Freq[Gender == g & Admit == a]
    data.frame(set = "berkeley", x = cell("Male", "Admitted"), n = cell("Male", "Admitted") + cell("Male", "Rejected"),
               x0 = cell("Female", "Admitted"), n0 = cell("Female", "Admitted") + cell("Female", "Rejected"))
  }),
  # Lynn's penicillin data as in example(mantelhaen.test): rabbits cured, no delay against 1.5 hours, five doses
  data.frame(set = "rabbits", x = c(0, 3, 6, 5, 2), n = c(6, 6, 6, 6, 2), x0 = c(0, 0, 2, 6, 5), n0 = c(5, 6, 6, 6, 5)),
  data.frame(set = "sparse", x = c(1, 0, 2, 1, 0, 1), n = c(3, 2, 5, 1, 4, 2), x0 = c(0, 1, 1, 0, 0, 1), n0 = c(2, 3, 4, 2, 1, 2)),
  data.frame(set = "one_sided", x = c(2, 1), n = c(10, 12), x0 = 0, n0 = c(9, 11))
))
save_csv(strata, "strata.csv")
# rma.mh() for the estimates, and mantelhaen.test(); strata in which nobody or everybody has the event are dropped as
# the odds ratio needs (drop00 of rma.mh is not for all).
save_csv(rows(lapply(split(strata, factor(strata$set, unique(strata$set))), function(d) {
  mh <- function(measure, d, level) {
    # Its warnings are about the trials' own logarithms, which are not used.
    suppressWarnings(rma.mh(measure = measure, ai = d$x, n1i = d$n, ci = d$x0, n2i = d$n0, level = 100 * level,
                            add = 0, to = "none", drop00 = FALSE, correct = FALSE))
  }
  mixed <- d[d$x + d$x0 > 0 & d$x + d$x0 < d$n + d$n0, ]
  cells <- array(with(mixed, rbind(x, x0, n - x, n0 - x0)), c(2, 2, nrow(mixed)))
  test <- mantelhaen.test(cells, correct = FALSE)
  corrected <- mantelhaen.test(cells, correct = TRUE)
  ended <- sum(d$x0) == 0
  rows(lapply(c(0.9, 0.95), function(level) {
    rd <- mh("RD", d, level)
    score <- miettinen_nurminen(d$x, d$n, d$x0, d$n0, level, w = d$n * d$n0 / (d$n + d$n0))
    rr <- if (!ended) mh("RR", d, level)
    or <- if (!ended) mh("OR", mixed, level)
    of <- function(fit, part) if (is.null(fit) || is.null(fit[[part]])) NA else as.numeric(fit[[part]])
    data.frame(set = d$set[1], conf_level = level,
               rd = of(rd, "beta"), rd_se = of(rd, "se"), rd_low = of(rd, "ci.lb"), rd_high = of(rd, "ci.ub"), rd_p = of(rd, "pval"),
               mn_low = score[1], mn_high = score[2],
               log_rr = of(rr, "beta"), rr_se = of(rr, "se"), rr_low = exp(of(rr, "ci.lb")), rr_high = exp(of(rr, "ci.ub")), rr_p = of(rr, "pval"),
               log_or = of(or, "beta"), or_se = of(or, "se"), or_low = exp(of(or, "ci.lb")), or_high = exp(of(or, "ci.ub")), or_p = of(or, "pval"),
               mantelhaen_or = unname(test$estimate), cmh = unname(test$statistic), cmh_p = test$p.value,
               cmh_corrected = unname(corrected$statistic), cmh_corrected_p = corrected$p.value,
               tarone = of(or, "TA"), tarone_p = of(or, "TAp"), strata = nrow(d), mixed = nrow(mixed))
  }))
})), "stratified.csv")

# --- rates ------------------------------------------------------------------------------------------------------

rates <- data.frame(
  x  = c(41, 0, 3, 1, 100, 12, 2, 0, 250),
  t  = c(28010, 10, 5, 1, 1e6, 36.5, 0.5, 7, 900),
  x0 = c(15, 4, 0, 1, 60, 11, 9, 1, 300),
  t0 = c(19017, 20, 10, 1, 1e6, 40.25, 12, 21, 850)
)
mid_p_ratio <- function(x, t, x0, t0, level) {  # Berry and Armitage 1995: mid-p limits of the binomial probability
  tail <- (1 - level) / 2
  m <- x + x0
  at_least <- function(p) pbinom(x, m, p, lower.tail = FALSE) + dbinom(x, m, p) / 2 - tail
  at_most <- function(p) pbinom(x - 1, m, p) + dbinom(x, m, p) / 2 - tail
  p <- c(if (x == 0) 0 else root(at_least, 0, 1), if (x0 == 0) 1 else root(at_most, 0, 1))
  p / (1 - p) * t0 / t
}
score_rates <- function(x, t, x0, t0, level) {  # Miettinen and Nurminen 1985, the likelihood equation by uniroot
  z <- qnorm(1 - (1 - level) / 2)
  d <- x / t - x0 / t0
  variance <- function(delta) {
    low <- max(0, -delta)
    equation <- function(q0) x * q0 + x0 * (q0 + delta) - (t + t0) * q0 * (q0 + delta)
    above <- 1e-13                        # an end can be a root as well; it is the maximum if there is none above it
    top <- (x + x0) / min(t, t0) + abs(delta) + 1
    q0 <- if (equation(low + above) <= 0) low else root(equation, low + above, low + top)
    (q0 + delta) / t + q0 / t0
  }
  excess <- function(delta, side) side * (d - delta) - z * sqrt(variance(delta))
  far <- 3 * (x + x0 + z^2 + 1) / min(t, t0)
  c(root(function(delta) excess(delta, 1), d - far, d), root(function(delta) excess(delta, -1), d, d + far))
}
save_csv(rows(lapply(levels_used, function(level) {
  rows(Map(function(x, t, x0, t0) {
    exact <- poisson.test(c(x, x0), c(t, t0), conf.level = level)
    mid <- mid_p_ratio(x, t, x0, t0, level)
    score <- score_rates(x, t, x0, t0, level)
    share <- t / (t + t0)
    lower <- pbinom(x, x + x0, share) - dbinom(x, x + x0, share) / 2
    pooled <- (x + x0) / (t + t0)
    z <- (x / t - x0 / t0) / sqrt(pooled * (1 / t + 1 / t0))
    data.frame(x = x, t = t, x0 = x0, t0 = t0, conf_level = level, estimate = (x / t) / (x0 / t0),
               conf_low = exact$conf.int[1], conf_high = exact$conf.int[2], p_value = exact$p.value,
               mid_low = mid[1], mid_high = mid[2], mid_p = min(2 * min(lower, 1 - lower), 1),
               difference = x / t - x0 / t0, difference_se = sqrt(x / t^2 + x0 / t0^2),
               score_low = score[1], score_high = score[2], score_z = z, score_p = 2 * pnorm(-abs(z)))
  }, rates$x, rates$t, rates$x0, rates$t0))
})), "rate_comparisons.csv")

# --- negative binomial ------------------------------------------------------------------------------------------

epilepsy <- MASS::epil[!duplicated(MASS::epil$subject), c("subject", "trt", "base")]
epilepsy$y <- as.numeric(tapply(MASS::epil$y, MASS::epil$subject, sum)[as.character(epilepsy$subject)])
quine <- MASS::quine                       # days absent from school by age group
patients <- rows(list(
  data.frame(set = "epilepsy", y = epilepsy$y, t = 8, group = as.character(epilepsy$trt)),
  data.frame(set = "quine", y = quine$Days, t = 1 + (seq_len(nrow(quine)) %% 3) / 2, group = as.character(quine$Age)),
  data.frame(set = "rare", y = as.numeric(seq_len(60) %in% c(3, 17, 22, 40, 51)) * c(1, 4, 1, 2, 1), t = 6, group = rep(c("a", "b"), 30)),
  data.frame(set = "regular", y = rep(c(1, 2, 1, 1), 6), t = rep(c(5, 8, 5), 8), group = rep(c("a", "b"), each = 12))
))
save_csv(patients, "repeated_counts.csv")
reference_group <- c(epilepsy = "placebo", quine = "F0", rare = "a", regular = "a")
save_csv(rows(lapply(split(patients, factor(patients$set, unique(patients$set))), function(d) {
  d$group <- relevel(factor(d$group), reference_group[[d$set[1]]])
  others <- levels(d$group)[-1]
  regular <- d$set[1] == "regular"
  if (!regular) {
    fit <- glmmTMB(y ~ group + offset(log(t)), family = nbinom2, data = d)
    at <- paste0("group", others)
    tmb <- list(beta = fixef(fit)$cond[at], se = sqrt(diag(vcov(fit, full = TRUE))[at]))
    # The same likelihood to more digits: Newton's steps from there, with Richardson's derivatives.
    x <- model.matrix(~group, d)
    negative_loglik <- function(b) {
      -sum(dnbinom(d$y, mu = d$t * exp(x %*% b[-length(b)]), size = exp(b[length(b)]), log = TRUE))
    }
    b <- unname(c(fixef(fit)$cond, log(sigma(fit))))
    for (step in 1:4) b <- b - solve(numDeriv::hessian(negative_loglik, b), numDeriv::grad(negative_loglik, b))
    spread <- sqrt(diag(solve(numDeriv::hessian(negative_loglik, b))))
    beta <- b[seq_along(others) + 1]
    se <- spread[seq_along(others) + 1]
    dispersion <- exp(-b[length(b)])
  } else {
    # Poisson regression; the sandwich of each group with the square of k/(k - 1), k = (sum t)^2 / sum t^2, but not
    # less than the model's own variance
    fit <- glm(y ~ 0 + group + offset(log(t)), family = poisson, data = d, control = glm.control(epsilon = 1e-15))
    k <- tapply(d$t, d$group, sum)^2 / tapply(d$t^2, d$group, sum)
    v <- pmax(diag(vcovHC(fit, type = "HC0")) * (k / (k - 1))^2, diag(vcov(fit)))
    beta <- coef(fit)[2] - coef(fit)[1]
    se <- sqrt(sum(v))
    dispersion <- NA
    tmb <- list(beta = NA, se = NA)
  }
  # The variance times N/(N - groups) and Student's t, of the negative binomial model; the sandwich has its own factor.
  df <- nrow(d) - nlevels(d$group)
  half <- qt(0.975, df) * se * (if (regular) 1 else sqrt(nrow(d) / df))
  data.frame(set = d$set[1], group = others, reference = reference_group[[d$set[1]]], log_ratio = beta, std_error = se,
             patients = nrow(d), df = df, conf_low = exp(beta - half), conf_high = exp(beta + half),
             dispersion = dispersion, tmb_log_ratio = tmb$beta, tmb_std_error = tmb$se)
})), "negative_binomial.csv")

# --- clusters ---------------------------------------------------------------------------------------------------

# Pairs of the sets of clusters.csv and exposures.csv (make_reference.R), put together from the limits of one group.
read <- function(name, level) {
  d <- read.csv(name)
  d[abs(d$conf_level - level) < 1e-9, ]
}
difference_of <- function(a, b) {
  data.frame(difference = a$estimate - b$estimate, difference_se = sqrt(a$std_error^2 + b$std_error^2),
             difference_low = a$estimate - b$estimate - sqrt((a$estimate - a$conf_low)^2 + (b$conf_high - b$estimate)^2),
             difference_high = a$estimate - b$estimate + sqrt((a$conf_high - a$estimate)^2 + (b$estimate - b$conf_low)^2))
}
# Donner and Zou 2012: the ratios r at which a limit of p - r·p0 is 0. The limits of r·p0 are r times those of p0.
ratio_of <- function(a, b) {
  below <- function(r) a$estimate - r * b$estimate - sqrt((a$estimate - a$conf_low)^2 + r^2 * (b$conf_high - b$estimate)^2)
  above <- function(r) a$estimate - r * b$estimate + sqrt((a$conf_high - a$estimate)^2 + r^2 * (b$estimate - b$conf_low)^2)
  silent <- a$estimate == 0 && b$estimate == 0
  data.frame(ratio = a$estimate / b$estimate,
             ratio_low = if (silent) NA else if (a$conf_low <= 0) 0 else exp(root(function(r) below(exp(r)), -40, 40)),
             ratio_high = if (silent) NA else if (b$conf_low <= 0) Inf else exp(root(function(r) above(exp(r)), -40, 40)))
}
save_csv(rows(lapply(list(c("clustered_proportion.csv", "proportion"), c("clustered_rate.csv", "rate")), function(what) {
  rows(lapply(c(0.9, 0.95), function(level) {
    found <- read(what[1], level)
    rows(lapply(seq_len(nrow(found)), function(i) {
      rows(lapply(setdiff(seq_len(nrow(found)), i), function(j) {
        a <- found[i, ]
        b <- found[j, ]
        cbind(data.frame(what = what[2], set = a$set, reference = b$set, conf_level = level), difference_of(a, b), ratio_of(a, b))
      }))
    }))
  }))
})), "clustered_comparisons.csv")
