# Reference values for the tests of mesostats.estimators.hazard_models, written by R beside this script as CSV; and, where
# the folder of the CDISC pilot study is given, those of dropout_model() on that trial: coefficients, no rows of patients.
#
#   cd tests/reference && Rscript make_dropout_model.R [folder of adsl.xpt, adae.xpt and sv.xpt]
#
# The same data serve mesostats.estimators.matched_shares.
#
# R 4.2 with the packages sandwich 3.0, clubSandwich 0.5 and foreign (Debian: r-cran-sandwich, r-cran-clubsandwich,
# r-recommended). Nothing is random: the data are made of a congruential sequence.

suppressPackageStartupMessages({
  library(clubSandwich)
  library(foreign)
  library(sandwich)
})
options(digits = 15, warn = 1)

save_csv <- function(frame, name) write.csv(frame, name, row.names = FALSE, quote = FALSE)
rows <- function(parts) do.call(rbind, parts)

# --- data: courses that stop or not at each step ----------------------------------------------------------------

uniform <- function(n, seed) {            # Park and Miller 1988
  state <- seed
  sapply(seq_len(n), function(i) {
    state <<- (48271 * state) %% 2147483647
    state / 2147483647
  })
}
made <- function(set, patients, steps, seed) {
  u <- array(uniform(4 * patients * steps, seed), c(patients, steps, 4))
  frail <- qnorm(uniform(patients, seed + 1)) * 0.7
  rows(lapply(seq_len(patients), function(i) {
    age <- 30 + round(40 * u[i, 1, 4], 1)
    bruise <- c("no", "yes", "not asked")[1 + (u[i, , 1] > 0.55) + (u[i, , 1] > 0.9)]
    phase <- c("weekly", "fortnightly", "monthly")[pmin(3, 1 + (seq_len(steps) - 1) %/% ceiling(steps / 3))]
    hazard <- 1 - exp(-exp(-2.2 + 0.7 * (bruise == "yes") + 0.4 * (phase == "monthly") + 0.02 * (age - 50) + frail[i]))
    stops <- as.integer(u[i, , 2] < hazard)
    last <- if (any(stops == 1)) which(stops == 1)[1] else steps
    data.frame(set = set, patient = i, step = seq_len(last), event = stops[seq_len(last)], phase = phase[seq_len(last)],
               bruise = bruise[seq_len(last)], age = age)
  }))
}
sets <- list(clinic = made("clinic", 150, 9, 11), few = made("few", 24, 6, 5))
# A level at which nobody stops: its coefficient runs to minus infinity, the others stay.
silent <- made("silent", 90, 6, 29)
silent$phase[silent$event == 0 & silent$step == 2 & silent$age < 50] <- "rare"
sets$silent <- silent
save_csv(rows(sets), "hazard_observations.csv")

# --- models -----------------------------------------------------------------------------------------------------

# The covariance of Mancl and DeRouen (2001), formula (4), matrix by matrix; for a link that is not canonical too.
mancl_derouen <- function(fit, cluster) {
  X <- model.matrix(fit); mu <- fitted(fit); y <- fit$y
  slope <- fit$family$mu.eta(fit$linear.predictors); v <- mu * (1 - mu)
  bread <- solve(crossprod(X, X * slope^2 / v))
  meat <- Reduce(`+`, lapply(split(seq_along(y), cluster), function(i) {
    D <- slope[i] * X[i, , drop = FALSE]
    H <- D %*% bread %*% t(D) %*% diag(1 / v[i], length(i))
    u <- t(D) %*% diag(1 / v[i], length(i)) %*% solve(diag(length(i)) - H) %*% (y[i] - mu[i])
    u %*% t(u)
  }))
  bread %*% meat %*% bread
}
fitted_model <- function(formula, link, d) {
  suppressWarnings(glm(formula, binomial(link), d, control = list(epsilon = 1e-14, maxit = 100)))
}
covariances <- function(fit, cluster) {
  own <- mancl_derouen(fit, cluster)
  club <- as.matrix(vcovCR(fit, cluster = cluster, type = "CR3"))
  stopifnot(max(abs(own - club)) < 1e-6 * max(abs(own)))     # clubSandwich takes roots by eigenvalues: 3e-7
  list(bias_reduced = own, hc1 = vcovCL(fit, cluster = cluster, type = "HC1"))
}
summarised <- function(fit, V, df, names, labels) {
  beta <- coef(fit)[names]; se <- sqrt(diag(V))[names]
  half <- qt(0.975, df) * se
  data.frame(term = labels[, 1], level = labels[, 2], estimate = exp(beta), std_error = se, conf_low = exp(beta - half),
             conf_high = exp(beta + half), statistic = beta / se, df = df, p_value = 2 * pt(-abs(beta / se), df))
}
wald <- function(fit, V, df, names) {              # of all the levels of a term: F
  b <- coef(fit)[names]
  f <- drop(t(b) %*% solve(V[names, names]) %*% b) / length(b)
  data.frame(statistic = f, df = length(b), p_value = pf(f, length(b), df, lower.tail = FALSE))
}
labels <- rbind(c("phase", "fortnightly"), c("phase", "monthly"), c("bruise", "not asked"), c("bruise", "yes"), c("age", "per unit"))
names <- c("phasefortnightly", "phasemonthly", "bruisenot asked", "bruiseyes", "age")

found <- list(); tests <- list(); curves <- list()
for (set in names(sets)) for (link in c("cloglog", "logit")) {
  whole <- transform(sets[[set]], phase = factor(phase, intersect(c("weekly", "fortnightly", "monthly", "rare"), phase)),
                     bruise = factor(bruise, c("no", "not asked", "yes")))
  d <- droplevels(whole[whole$phase != "rare", ])
  fit <- fitted_model(event ~ phase + bruise + age, link, d)
  if (set == "silent") {                           # the limit of the whole likelihood is the likelihood of the rest
    stopifnot(max(abs(coef(fitted_model(event ~ phase + bruise + age, link, whole))[names] - coef(fit)[names])) < 1e-5)
  }
  df <- length(unique(d$patient)) - length(coef(fit))
  for (robust in c("bias_reduced", "hc1")) {
    V <- covariances(fit, d$patient)[[robust]]
    dimnames(V) <- list(names(coef(fit)), names(coef(fit)))
    key <- data.frame(set = set, link = link, robust = robust)
    found[[length(found) + 1]] <- cbind(key, summarised(fit, V, df, names, labels))
    tests[[length(tests) + 1]] <- cbind(key, term = c("phase", "bruise", "age"),
                                        rows(lapply(list(names[1:2], names[3:4], names[5]), wald, fit = fit, V = V, df = df)))
    # Kept after each of six steps, without and with a bruise each time, at 45 years: delta method on log(-log S).
    for (bruise in c("no", "yes")) {
      steps <- data.frame(phase = factor(rep(c("weekly", "fortnightly", "monthly"), each = 2), levels(d$phase)),
                          bruise = factor(bruise, levels(d$bruise)), age = 45)
      X <- model.matrix(~ phase + bruise + age, steps)
      eta <- drop(X %*% coef(fit))
      h <- fit$family$linkinv(eta)
      kept <- cumprod(1 - h)
      J <- apply(fit$family$mu.eta(eta) / (1 - h) * X, 2, cumsum)       # of -log S
      se <- sqrt(diag(J %*% V %*% t(J)))
      fold <- exp(qt(0.975, df) * se / -log(kept))
      curves[[length(curves) + 1]] <- cbind(key, profile = bruise, step = 1:6, hazard = h, estimate = kept, std_error = kept * se,
                                            conf_low = kept^fold, conf_high = kept^(1 / fold))
    }
  }
}
save_csv(rows(found), "hazard_models.csv")
save_csv(rows(tests), "hazard_tests.csv")
save_csv(rows(curves), "hazard_retention.csv")

# --- cases beside others of the same strata -----------------------------------------------------------------------

# Those who stop beside those who do not, at the same steps: is a bruise, or the phase, known more often? The shares of a linear
# model with one mean for the cases and one for the others of each step, with its clustered covariance.
save_csv(rows(lapply(c("clinic", "few"), function(set) {
  d <- sets[[set]]
  d$hit <- as.integer(d$bruise == "yes")
  strata <- intersect(d$step[d$event == 1], d$step[d$event == 0])
  d <- d[d$step %in% strata, ]
  cases <- d$event == 1
  d$cell <- factor(ifelse(cases, "case", paste0("other", d$step)))
  fit <- lm(hit ~ 0 + cell, d)
  V <- vcovCL(fit, cluster = d$patient, type = "HC0", cadjust = TRUE)
  part <- table(d$step[cases]) / sum(cases)
  w <- setNames(numeric(length(coef(fit))), names(coef(fit)))
  w[paste0("cellother", names(part))] <- -part
  w["cellcase"] <- 1
  fit_other <- lm(hit ~ 0 + cell, droplevels(d[!cases, ]))
  V_other <- vcovCL(fit_other, cluster = d$patient[!cases], type = "HC0", cadjust = TRUE)
  v <- as.numeric(part)[match(names(coef(fit_other)), paste0("cellother", names(part)))]
  p <- coef(fit)[["cellcase"]]; q <- sum(v * coef(fit_other))
  se <- sqrt(drop(w %*% V %*% w)); df <- length(unique(d$patient)) - 1
  # Wilson's limits of the others at the effective sample size, t quantile.
  variance <- drop(v %*% V_other %*% v)
  number <- table(d$step[!cases])
  size <- min(q * (1 - q) / variance, 1 / sum(as.numeric(part)^2 / as.numeric(number[names(part)])))
  t <- qt(0.975, length(unique(d$patient[!cases])) - 1)
  centre <- (q + t^2 / (2 * size)) / (1 + t^2 / size)
  half <- t * sqrt(q * (1 - q) / size + t^2 / (4 * size^2)) / (1 + t^2 / size)
  spread <- rbind(as.numeric(names(w) == "cellcase"), ifelse(names(w) == "cellcase", 0, -w))
  both <- spread %*% V %*% t(spread)
  data.frame(set = set, cases = p, others = q, others_low = centre - half, others_high = centre + half, difference = p - q,
             std_error = se, df = df, statistic = (p - q) / se, p_value = 2 * pt(-abs((p - q) / se), df),
             correlation = both[1, 2] / sqrt(both[1, 1] * both[2, 2]))
})), "matched_shares.csv")

# --- a real trial -------------------------------------------------------------------------------------------------

folder <- commandArgs(trailingOnly = TRUE)[1]
if (!is.na(folder)) {
  patients <- read.xport(file.path(folder, "adsl.xpt"))
  events <- read.xport(file.path(folder, "adae.xpt"))
  visits <- read.xport(file.path(folder, "sv.xpt"))
  arms <- c("Placebo" = "placebo", "Xanomeline Low Dose" = "low_dose", "Xanomeline High Dose" = "high_dose")
  patients$arm <- arms[as.character(patients$TRT01A)]
  events <- events[events$TRTEMFL == "Y", ]
  visits <- visits[visits$VISITNUM %in% c(3, 4, 5, 7, 8, 9, 10, 11, 12, 13), ]
  visits <- unique(data.frame(id = as.character(visits$USUBJID),
                              day = as.integer(as.Date(as.character(visits$SVSTDTC))) + 3653L))   # since 1960-01-01
  phase <- rep(c("two_weekly", "four_weekly", "final"), c(5, 4, 1))
  shortest <- c(two_weekly = 11, four_weekly = 25, final = 11)
  table <- rows(lapply(split(patients, as.character(patients$USUBJID)), function(p) {
    day <- sort(visits$day[visits$id == as.character(p$USUBJID)])
    stopped <- p$DCDECOD != "COMPLETED" && length(day) < 10
    due <- seq_len(length(day) - 1 + stopped)             # the visits after which another one was due
    if (!length(due)) return(NULL)
    onset <- as.integer(events$ASTDT[as.character(events$USUBJID) == as.character(p$USUBJID)])
    after <- findInterval(onset, day)                     # the last visit on or before the onset
    effect <- sapply(due, function(m) any(after == m & onset <= day[m] + shortest[phase[m + 1]]))
    so_far <- sapply(due, function(m) any(onset >= day[1] & onset <= day[m]))
    data.frame(id = as.character(p$USUBJID), so_far = ifelse(so_far, "yes", "no"), arm = p$arm, session = due + 1, phase = phase[due + 1],
               effect = ifelse(effect, "yes", "no"), event = as.integer(stopped & due == length(day)))
  }))
  table$arm <- factor(table$arm, c("placebo", "high_dose", "low_dose"))
  table$phase <- factor(table$phase, c("two_weekly", "four_weekly", "final"))
  names <- c("phasefour_weekly", "phasefinal", "effectyes", "so_faryes", "armhigh_dose", "armlow_dose")
  labels <- rbind(c("phase", "four_weekly"), c("phase", "final"), c("side_effect", "yes"), c("side_effect_so_far", "yes"),
                  c("arm", "high_dose"), c("arm", "low_dose"))
  columns <- list(phase = table$phase, side_effect = table$effect, side_effect_so_far = table$so_far, arm = table$arm)
  save_csv(rows(lapply(c("cloglog", "logit"), function(link) {
    fit <- fitted_model(event ~ phase + effect + so_far + arm, link, table)
    df <- length(unique(table$id)) - length(coef(fit))
    rows(lapply(c("bias_reduced", "hc1"), function(robust) {
      V <- covariances(fit, table$id)[[robust]]
      dimnames(V) <- list(names(coef(fit)), names(coef(fit)))
      counted <- rows(lapply(seq_len(nrow(labels)), function(i) {
        at <- columns[[labels[i, 1]]] == labels[i, 2]
        data.frame(dropouts = sum(table$event[at]), due = sum(at))
      }))
      cbind(data.frame(link = link, robust = robust), summarised(fit, V, df, names, labels), counted)
    }))
  })), "real_trial_dropout_model.csv")
}
sessionInfo()
