# Reference values for side effects over time, written by R beside this script as CSV.
#
#   cd tests/reference && Rscript make_event_times.R [<folder of adsl.xpt, adae.xpt and sv.xpt of the CDISC pilot study>]
#
# R 4.2 with the packages survival 3.5, cmprsk 2.2 and foreign (Debian: r-recommended, r-cran-cmprsk). Nothing is random.
# Every CSV holds the inputs next to what R made of them; the R call that made a number stands at its place below. With
# the folder, the curves of the CDISC pilot study are written too: no rows of patients.

library(survival)
library(cmprsk)
library(foreign)
options(digits = 15, warn = 1)

save_csv <- function(frame, name) write.csv(frame, name, row.names = FALSE, quote = FALSE)
rows <- function(parts) do.call(rbind, parts)

# --- competing ends: 0 censored, 1 and 2 the ends ---------------------------------------------------------------

ended <- function(set, time, event, group = 1, stratum = 1, weight = 1) {
  data.frame(set = set, time = time, event = event, group = group, stratum = stratum, weight = weight)
}
# Monoclonal gammopathy (survival::mgus2): progression (1) or death without it (2), months.
gammopathy <- with(mgus2, data.frame(time = ifelse(pstat == 1, ptime, futime), event = ifelse(pstat == 1, 1, 2 * death),
                                     group = as.integer(sex), stratum = 1 + (age > 70)))
many <- seq_len(240)
ends <- rows(list(
  with(gammopathy[1:500, ], ended("mgus2", time, event, group, stratum)),
  with(gammopathy[501:700, ], ended("mgus2_weighted", time, event, group, stratum, seq_along(time) %% 3)),
  ended("ties", c(1, 2, 2, 3, 3, 3, 4, 5, 5, 6, 6, 6), c(1, 0, 2, 1, 1, 0, 2, 1, 0, 0, 1, 2), rep(1:2, 6)),
  ended("four_groups", (many * 37) %% 31, (many * many + many %/% 3) %% 3, many %% 4, 1 + (many * 7) %% 3),
  ended("heavy_ties", (many * 11) %% 4, (many * 5 + many %/% 7) %% 3, many %% 3),
  ended("no_censoring", c(1, 2, 2, 3, 4, 7, 9, 9), c(1, 2, 1, 1, 2, 1, 1, 2), rep(1:2, 4)),
  ended("one_cause", c(1, 2, 2, 3, 4, 7, 9, 9), c(1, 0, 1, 1, 0, 1, 0, 1), rep(1:2, 4)),
  ended("group_ends_early", c(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), c(1, 1, 2, 1, 0, 1, 2, 1, 1, 0), c(1, 1, 1, 1, 1, 2, 2, 2, 2, 2)),
  ended("zero_day", c(0, 0, 1, 1, 3, 3, 5), c(1, 2, 1, 0, 1, 0, 2), c(1, 2, 1, 2, 1, 2, 2), 1, c(5, 2, 3, 1, 4, 6, 2)),
  ended("one_event", 3, 1),
  ended("one_censored", 3, 0),
  ended("all_censored", c(1, 2, 3), 0, c(1, 2, 2)),
  ended("everybody", c(1, 2, 3, 3), 1, c(1, 2, 1, 2))
))
save_csv(ends, "competing_ends.csv")
sets <- split(ends, factor(ends$set, unique(ends$set)))

# Where none of n has had the event so far survfit() has no limits: there, the lower limit of binom.test() for n of n to be
# free of it; else NA.
all_free <- function(surv, n, level = 0.95) {
  mapply(function(s, n) if (s == 1) binom.test(n, n, conf.level = level)$conf.int[1] else NA, surv, n)
}

# survfit() on a factor: the Aalen-Johansen estimate, its infinitesimal jackknife and the log-log interval.
save_csv(rows(lapply(c(0.95, 0.8), function(level) {
  rows(lapply(if (level == 0.95) sets else sets["ties"], function(d) {
    d <- d[rep(seq_len(nrow(d)), d$weight), ]  # with weights survfit() takes each row for one person
    fit <- survfit(Surv(time, factor(event, 0:2)) ~ 1, data = d, conf.type = "log-log", conf.int = level)
    rows(lapply(1:2, function(cause) {
      data.frame(set = d$set[1], conf_level = level, cause = cause, time = fit$time, at_risk = fit$n.risk[, 1],
                 events = fit$n.event[, cause + 1], estimate = fit$pstate[, cause + 1],
                 std_error = fit$std.err[, cause + 1], conf_low = fit$lower[, cause + 1],
                 conf_high = fit$upper[, cause + 1], exact_low = all_free(1 - fit$pstate[, cause + 1], fit$n.risk[, 1], level))
    }))
  }))
})), "aalen_johansen.csv")

# cuminc(): Gray's test of each cause, unstratified and stratified.
save_csv(rows(lapply(c("mgus2", "mgus2_weighted", "ties", "four_groups", "heavy_ties", "no_censoring", "one_cause",
                       "group_ends_early", "zero_day"), function(name) {
  d <- sets[[name]]
  d <- d[rep(seq_len(nrow(d)), d$weight), ]
  one <- function(stratified) {
    found <- if (stratified) cuminc(d$time, d$event, d$group, d$stratum)$Tests else cuminc(d$time, d$event, d$group)$Tests
    data.frame(set = name, stratified = as.integer(stratified), cause = as.integer(rownames(found)),
               statistic = found[, "stat"], df = found[, "df"], p_value = found[, "pv"])
  }
  rbind(one(FALSE), if (length(unique(d$stratum)) > 1) one(TRUE))
})), "gray.csv")

# --- repeated events: each subject's end of observation, and the times of its events ----------------------------

observed <- function(set, end, group = 1) data.frame(set = set, id = seq_along(end), end = end, group = group)
happened <- function(set, id, time) data.frame(set = set, id = id, time = time)
few <- seq_len(40)
# Bladder tumours (Byar 1980, survival::bladder1): months of recurrences, by treatment.
tumours <- subset(bladder1, stop > 0)
follow <- aggregate(stop ~ id + treatment, tumours, max)
follow$place <- seq_len(nrow(follow))
recurrences <- merge(subset(tumours, status == 1, c("id", "stop")), follow[c("id", "place")], by = "id")
subjects <- rows(list(
  observed("bladder", follow$stop, as.integer(follow$treatment)),
  observed("ties", c(4, 6, 6, 6, 9, 9, 3), c(1, 2, 1, 2, 1, 2, 2)),
  observed("alike", rep(5, 4), c(1, 2, 1, 2)),
  observed("one", 7),
  observed("no_event", c(3, 5, 8), c(1, 2, 2)),
  observed("many", 5 + (few * 13) %% 20, few %% 3)
))
events <- rows(list(
  happened("bladder", recurrences$place, recurrences$stop),
  happened("ties", c(1, 1, 1, 2, 2, 3, 4, 6, 6, 7), c(2, 2, 4, 4, 6, 6, 1, 9, 9, 3)),
  happened("alike", 1:4, 3),
  happened("one", c(1, 1, 1), c(2, 2, 5)),
  happened("many", rep(few, few %% 4), pmin(1 + (sequence(few %% 4) * 7) %% 11, rep(5 + (few * 13) %% 20, few %% 4)))
))
save_csv(subjects, "recurrent_subjects.csv")
save_csv(events, "recurrent_events.csv")

# survfit() wants intervals of positive length: the k-th of several events of a subject at one time comes k millionths
# before it, in an interval of its own, and the curve is then read at the whole times. At risk are the same subjects,
# since nobody leaves in between. (The sums differ from those of one tie in d/n alone: none, as n is the same.)
counting <- function(s, e) {
  rows(lapply(seq_len(nrow(s)), function(i) {
    time <- sort(e$time[e$id == s$id[i]])
    place <- ave(time, time, FUN = function(x) rev(seq_along(x)) - 1)
    stop <- c(time - place * 1e-6, if (!(s$end[i] %in% time)) s$end[i])
    status <- c(rep(1, length(time)), if (!(s$end[i] %in% time)) 0)
    data.frame(id = s$id[i], group = s$group[i], start = c(0, stop[-length(stop)]), stop = stop, status = status)
  }))
}
names_of <- unique(subjects$set)
intervals <- lapply(setNames(names_of, names_of), function(name) {
  counting(subjects[subjects$set == name, ], events[events$set == name, ])
})
# The interval has the variance with n/(n - 1), and is that of poisson.test() for a number of events that need not be whole,
# mean^2/variance narrowed by (z/t)^2.
mean_number <- function(time, estimate, std_error, n) {
  variance <- ifelse(estimate > 0, std_error^2 * n / (n - 1), NA)
  variance <- ifelse(!is.na(variance) & std_error > 1e-7 * estimate, variance, NA)
  x <- estimate^2 / variance * (qnorm(0.975) / suppressWarnings(qt(0.975, n - 1)))^2
  data.frame(time = time, estimate = estimate, std_error = std_error, subjects = n,
             conf_low = estimate / x * qgamma(0.025, x), conf_high = estimate / x * qgamma(0.975, x + 1))
}
save_csv(rows(lapply(names_of, function(name) {
  d <- intervals[[name]]
  fit <- survfit(Surv(start, stop, status) ~ 1, data = d, id = id, cluster = id, robust = TRUE, timefix = FALSE)
  whole <- sort(unique(c(subjects$end[subjects$set == name], events$time[events$set == name])))
  at <- match(whole, fit$time)
  cbind(set = name, mean_number(whole, fit$cumhaz[at], fit$std.chaz[at], sum(subjects$set == name)))
})), "mean_cumulative_function.csv")

# coxph() at coefficients 0: the robust score test, whose sums do not mind the ties either.
save_csv(rows(lapply(c("bladder", "many", "ties"), function(name) {
  fit <- coxph(Surv(start, stop, status) ~ factor(group) + cluster(id), data = intervals[[name]], ties = "breslow",
               control = coxph.control(timefix = FALSE))
  statistic <- as.numeric(fit$rscore)
  df <- length(coef(fit))
  data.frame(set = name, statistic = statistic, df = df, p_value = pchisq(statistic, df, lower.tail = FALSE))
})), "compare_mean_functions.csv")

# --- times of which several belong to one cluster ---------------------------------------------------------------

clustered <- function(set, time, event, cluster) data.frame(set = set, time = time, event = event, cluster = cluster)
durations <- rows(list(
  with(kidney, clustered("kidney", time, status, id)),          # infections of dialysis patients, two a patient
  with(veteran, clustered("veteran", time, status, 1 + seq_along(time) %% 29)),
  clustered("ties", c(1, 2, 2, 3, 3, 3, 4, 5, 5, 6), c(1, 0, 1, 1, 1, 0, 1, 1, 0, 0), c(1, 1, 2, 2, 3, 4, 5, 5, 5, 6)),
  clustered("singles", c(1, 2, 2, 3, 3, 4, 7), c(1, 1, 0, 1, 1, 0, 1), 1:7),
  clustered("unequal", 1 + (few * 7) %% 13, as.integer(few %% 4 > 0), ceiling(sqrt(few))),
  clustered("one_cluster", c(2, 4, 6), c(1, 0, 1), 1),
  clustered("no_event", c(2, 4, 6), 0, c(1, 1, 2))
))
save_csv(durations, "clustered_times.csv")
# survfit() with the variance times k/(k - 1), and its log-log limits with Student's t in place of the normal quantile;
# before the first event the exact limit of the clusters still at risk. quantile.survfit() then reads these limits.
small_sample <- function(fit, time, cluster) {
  k <- length(unique(cluster))
  plain <- if (fit$logse) fit$std.err else fit$std.err / fit$surv
  half <- suppressWarnings(qt(0.975, k - 1)) * plain * sqrt(k / (k - 1))
  fold <- exp(half / -log(fit$surv))
  ahead <- sapply(fit$time, function(t) length(unique(cluster[time >= t])))
  none <- fit$surv == 1
  fit$lower <- ifelse(none, all_free(fit$surv, ahead), fit$surv^fold)
  fit$upper <- ifelse(none, 1, fit$surv^(1 / fold))
  fit$plain <- fit$surv * plain
  fit$ahead <- ahead
  fit$clusters <- k
  fit
}
save_csv(rows(lapply(split(durations, factor(durations$set, unique(durations$set))), function(d) {
  fit <- survfit(Surv(time, event) ~ 1, data = d, cluster = cluster, robust = TRUE, conf.type = "log-log")
  fit <- small_sample(fit, d$time, d$cluster)
  found <- quantile(fit, 0.5)
  data.frame(set = d$set[1], time = fit$time, at_risk = fit$n.risk, events = fit$n.event, estimate = fit$surv,
             std_error = fit$plain, clusters = fit$clusters, clusters_at_risk = fit$ahead, conf_low = fit$lower,
             conf_high = fit$upper, median = as.numeric(found$quantile),
             median_low = as.numeric(found$lower), median_high = as.numeric(found$upper))
})), "clustered_kaplan_meier.csv")

# --- the CDISC pilot study: time to the first dermatologic event, and all of them, by arm ------------------------

folder <- commandArgs(trailingOnly = TRUE)[1]
if (!is.na(folder)) {
  patients <- read.xport(file.path(folder, "adsl.xpt"))
  visits <- read.xport(file.path(folder, "sv.xpt"))
  adverse <- read.xport(file.path(folder, "adae.xpt"))
  arms <- c("Placebo" = "placebo", "Xanomeline Low Dose" = "low_dose", "Xanomeline High Dose" = "high_dose")
  epoch <- as.integer(as.Date("1960-01-01"))                    # SAS counts days from 1960
  cut <- as.integer(as.Date("2015-06-30"))

  # Day 1 is the baseline visit. Observed for 60 days after the last visit at the site, all before the data cut.
  visits <- visits[visits$VISITNUM %in% c(3, 4, 5, 7, 8, 9, 10, 11, 12, 13), ]
  day <- as.integer(as.Date(visits$SVSTDTC))
  trial <- data.frame(id = patients$USUBJID, arm = arms[patients$TRT01A],
                      first = tapply(day, visits$USUBJID, min)[patients$USUBJID],
                      last = tapply(day, visits$USUBJID, max)[patients$USUBJID],
                      end = ifelse(patients$DCDECOD == "COMPLETED", 2, 3))
  # One of those who left had come to all ten visits; the clinic's record of the discontinuation stands.
  stopifnot(nrow(trial) == 254, trial$last + 60 <= cut)
  trial$stop <- trial$last + 60 - trial$first + 1

  skin <- adverse[adverse$TRTEMFL == "Y" & adverse$CQ01NAM == "DERMATOLOGIC EVENTS", ]
  skin <- merge(data.frame(id = skin$USUBJID, onset = skin$ASTDT + epoch, over = skin$AENDT + epoch, how = skin$AEOUT),
                trial, by = "id")
  undated <- is.na(skin$onset)
  skin$time <- skin$onset - skin$first + 1
  stopifnot(!undated, skin$time >= 1, skin$time <= skin$stop)
  came <- tapply(skin$time, skin$id, min)[trial$id]
  trial$time <- ifelse(is.na(came), trial$stop, came)
  trial$event <- ifelse(is.na(came), trial$end, 1)
  by_arm <- function(f) rows(lapply(split(trial, trial$arm), f))

  curve <- function(fit, arm) {
    found <- quantile(fit, 0.5)
    data.frame(arm = arm, time = fit$time, at_risk = fit$n.risk, events = fit$n.event, estimate = fit$surv,
               std_error = if (fit$logse) fit$surv * fit$std.err else fit$std.err, conf_low = fit$lower, conf_high = fit$upper,
               median = as.numeric(found$quantile), median_low = as.numeric(found$lower), median_high = as.numeric(found$upper))
  }
  save_csv(by_arm(function(d) {
    curve(survfit(Surv(time, event == 1) ~ 1, data = d, conf.type = "log-log"), d$arm[1])
  }), "real_trial_event_free.csv")
  save_csv(by_arm(function(d) {
    fit <- survfit(Surv(time, factor(event, 0:3)) ~ 1, data = d, conf.type = "log-log")
    rows(lapply(1:3, function(cause) {
      data.frame(arm = d$arm[1], cause = cause, time = fit$time, at_risk = fit$n.risk[, 1], events = fit$n.event[, cause + 1],
                 estimate = fit$pstate[, cause + 1], std_error = fit$std.err[, cause + 1],
                 conf_low = fit$lower[, cause + 1], conf_high = fit$upper[, cause + 1])
    }))
  }), "real_trial_incidence.csv")

  number <- setNames(seq_len(nrow(trial)), trial$id)
  all_events <- data.frame(id = number[skin$id], time = skin$time)
  followed <- data.frame(id = number[trial$id], end = trial$stop, group = trial$arm)
  split_days <- counting(followed, all_events)
  save_csv(rows(lapply(split(split_days, split_days$group), function(d) {
    fit <- survfit(Surv(start, stop, status) ~ 1, data = d, id = id, cluster = id, robust = TRUE, timefix = FALSE)
    whole <- sort(unique(d$stop[d$stop == round(d$stop)]))
    at <- match(whole, fit$time)
    cbind(arm = d$group[1], mean_number(whole, fit$cumhaz[at], fit$std.chaz[at], length(unique(d$id))))
  })), "real_trial_mean_events.csv")

  # Days from onset to the end, with the patient as cluster. Over on an unknown day: not analysed.
  lost <- is.na(skin$over) & skin$how %in% c("RECOVERED/RESOLVED", "FATAL")
  last <- skin$first + skin$stop - 1
  skin$resolved <- as.integer(!is.na(skin$over) & skin$over <= last & skin$how != "FATAL")
  skin$days <- pmin(ifelse(is.na(skin$over), last, skin$over), last) - skin$onset + 1
  lost <- lost | (!is.na(skin$over) & skin$over < skin$onset)
  save_csv(rows(lapply(split(skin[!lost, ], skin$arm[!lost]), function(d) {
    fit <- survfit(Surv(days, resolved) ~ 1, data = d, cluster = id, robust = TRUE, conf.type = "log-log")
    cbind(curve(small_sample(fit, d$days, d$id), d$arm[1]), patients = length(unique(d$id)),
          missing = sum(lost & skin$arm == d$arm[1]))
  })), "real_trial_durations.csv")

  test <- function(name, statistic, df) {
    data.frame(test = name, statistic = statistic, df = df, p_value = pchisq(statistic, df, lower.tail = FALSE))
  }
  score <- coxph(Surv(start, stop, status) ~ group + cluster(id), data = split_days, ties = "breslow",
                 control = coxph.control(timefix = FALSE))
  save_csv(rbind(
    test("logrank_test", survdiff(Surv(time, event == 1) ~ arm, data = trial)$chisq, 2),
    test("gray_test", cuminc(trial$time, trial$event, trial$arm)$Tests[1, "stat"], 2),
    test("mean_function_test", as.numeric(score$rscore), 2)
  ), "real_trial_event_tests.csv")
}
