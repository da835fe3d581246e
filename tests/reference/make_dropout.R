# Reference values for retention and the reasons of dropout, written by R beside this script as CSV.
#
#   cd tests/reference && Rscript make_dropout.R [<folder of adsl.xpt and sv.xpt of the CDISC pilot study>]
#
# R 4.2 with the packages survival 3.5, cmprsk 2.2 and foreign (Debian: r-recommended, r-cran-cmprsk). Nothing is random.
# The courses stand in dropout_courses.csv, the R call that made a number at its place below. With the folder, the curves
# of the CDISC pilot study are written too: no rows of patients.

library(survival)
library(cmprsk)
library(foreign)
options(digits = 15, warn = 1)

save_csv <- function(frame, name) write.csv(frame, name, row.names = FALSE, quote = FALSE)
rows <- function(parts) do.call(rbind, parts)

# --- courses with many ties: sessions attended, days from the first to the last of them, and how the course ended -------

i <- seq_len(150)
courses <- data.frame(sessions = (i * 7 + i %/% 11) %% 6, arm = c("A", "B", "C")[1 + (i * i) %% 4 %% 3],
                      site = c("north", "south")[1 + (i %/% 4) %% 2],
                      end = c("ongoing", "completed", "adverse_event", "cost", "withdrew")[1 + (i * i + i %/% 5) %% 5])
courses$arm[i %% 5 == 0] <- "C"
courses$days <- ifelse(courses$sessions > 1, courses$sessions - 1 + (i * 5) %% 9, 0)
save_csv(courses, "dropout_courses.csv")
reasons <- c("adverse_event", "cost", "withdrew")

# In sessions a course that was given up after m of them fails at session m + 1; in days, on the day of the last one.
timed <- function(kind) {
  d <- courses
  d$lost <- as.integer(d$end %in% reasons)
  d$time <- if (kind == "session") d$sessions + d$lost else d$days
  d[if (kind == "session") d$time > 0 else d$sessions > 0, ]
}

# survfit(): Kaplan-Meier of retention, and print()'s restricted mean with its standard error. The probability to attend
# session k stands from k - 1 to k, so that the area to k is the mean number of sessions.
curve <- function(d, kind, tau) {
  fit <- survfit(Surv(time, lost) ~ 1, data = d, conf.type = "log-log")
  shift <- if (kind == "session") 1 else 0
  area <- summary(survfit(Surv(time - shift, lost) ~ 1, data = d), rmean = tau)$table
  data.frame(kind = kind, arm = d$arm[1], time = fit$time, at_risk = fit$n.risk, events = fit$n.event, estimate = fit$surv,
             std_error = fit$surv * fit$std.err, conf_low = fit$lower, conf_high = fit$upper, tau = tau,
             mean = area[["rmean"]], mean_std_error = area[["se(rmean)"]])
}
# survfit() on a factor: Aalen-Johansen by reason, with completion as censoring or as an end; and 1 - Kaplan-Meier of each.
incidences <- function(d, kind, completion, reasons) {
  ends <- if (completion == "competing") c(reasons, "completed") else reasons
  code <- match(d$end, ends, nomatch = 0)
  fit <- survfit(Surv(time, factor(code, 0:length(ends))) ~ 1, data = d, conf.type = "log-log")
  rows(lapply(seq_along(ends), function(k) {
    naive <- survfit(Surv(time, code == k) ~ 1, data = d)
    data.frame(kind = kind, completion = completion, arm = d$arm[1], reason = ends[k], time = fit$time,
               at_risk = fit$n.risk[, 1], events = fit$n.event[, k + 1], estimate = fit$pstate[, k + 1],
               std_error = fit$std.err[, k + 1], conf_low = fit$lower[, k + 1], conf_high = fit$upper[, k + 1],
               naive = 1 - naive$surv)
  }))
}
tested <- function(kind, completion, test, reason, statistic, df) {
  data.frame(kind = kind, completion = completion, test = test, reason = reason, statistic = statistic, df = df,
             p_value = pchisq(statistic, df, lower.tail = FALSE))
}
# survdiff(): the log-rank test, also within sites. cuminc(): Gray's test of each reason, adjusted by p.adjust().
tests <- function(d, kind, completion, reasons, strata = TRUE) {
  df <- length(unique(d$arm)) - 1
  ends <- if (completion == "competing") c(reasons, "completed") else reasons
  gray <- cuminc(d$time, match(d$end, ends, nomatch = 0), d$arm)$Tests
  gray <- gray[as.character(seq_along(reasons)), , drop = FALSE]
  grays <- tested(kind, completion, "gray_test", reasons, gray[, "stat"], gray[, "df"])
  grays$p_adjusted <- p.adjust(grays$p_value, "BH")
  logranks <- tested(kind, completion, "logrank_test", "", survdiff(Surv(time, lost) ~ arm, data = d)$chisq, df)
  if (strata) {
    within <- survdiff(Surv(time, lost) ~ arm + strata(site), data = d)$chisq
    logranks <- rbind(logranks, tested(kind, completion, "stratified", "", within, df))
  }
  rbind(cbind(logranks, p_adjusted = NA), grays)
}
both <- function(f) rows(lapply(c("session", "day"), f))
arms <- function(d, f, ...) rows(lapply(split(d, d$arm), f, ...))
save_csv(both(function(kind) {
  d <- timed(kind)
  tau <- min(tapply(d$time, d$arm, max))
  arms(d, curve, kind = kind, tau = tau)
}), "dropout_curves.csv")
save_csv(both(function(kind) rows(lapply(c("censored", "competing"), function(completion) {
  arms(timed(kind), function(d) incidences(d, kind, completion, reasons))
}))), "dropout_incidence.csv")
save_csv(both(function(kind) rows(lapply(c("censored", "competing"), function(completion) {
  tests(timed(kind), kind, completion, reasons)
}))), "dropout_tests.csv")

# --- the CDISC pilot study: why patients discontinued, by arm ---------------------------------------------------

folder <- commandArgs(trailingOnly = TRUE)[1]
if (!is.na(folder)) {
  patients <- read.xport(file.path(folder, "adsl.xpt"))
  visits <- read.xport(file.path(folder, "sv.xpt"))
  # Baseline and the visits of weeks 2 to 26 at the site; two on one day are one session.
  visits <- visits[visits$VISITNUM %in% c(3, 4, 5, 7, 8, 9, 10, 11, 12, 13), ]
  visits <- unique(data.frame(id = visits$USUBJID, day = as.integer(as.Date(visits$SVSTDTC))))
  held <- rows(lapply(split(visits, visits$id), function(d) {
    data.frame(id = d$id[1], sessions = nrow(d), days = max(d$day) - min(d$day))
  }))
  names_of_arms <- c("Placebo" = "placebo", "Xanomeline Low Dose" = "low_dose", "Xanomeline High Dose" = "high_dose")
  why <- c("COMPLETED" = "completed", "ADVERSE EVENT" = "adverse_event", "DEATH" = "death",
           "LACK OF EFFICACY" = "lack_of_efficacy", "LOST TO FOLLOW-UP" = "lost_to_followup",
           "PHYSICIAN DECISION" = "practitioner_decision", "PROTOCOL VIOLATION" = "protocol_violation",
           "STUDY TERMINATED BY SPONSOR" = "sponsor_decision", "WITHDRAWAL BY SUBJECT" = "withdrew")
  trial <- merge(data.frame(id = patients$USUBJID, arm = names_of_arms[as.character(patients$TRT01A)],
                            end = why[as.character(patients$DCDECOD)]), held, by = "id")
  trial$end[trial$sessions >= 10] <- "completed"  # who came to all ten visits had none left to drop out of
  trial$lost <- as.integer(trial$end != "completed")
  stopifnot(nrow(trial) == 254, !is.na(trial$end))
  found <- setdiff(sort(unique(trial$end)), "completed")
  cases <- list(list("session", "censored"), list("day", "competing"))
  at <- function(kind) transform(trial, time = if (kind == "session") sessions + lost else days)
  save_csv(rows(lapply(cases, function(case) {
    arms(at(case[[1]]), function(d) {
      all <- incidences(d, case[[1]], case[[2]], found)
      all[all$reason %in% c("adverse_event", "completed", "withdrew"), ]
    })
  })), "real_trial_dropout.csv")
  save_csv(rows(lapply(cases, function(case) {
    tests(at(case[[1]]), case[[1]], case[[2]], found, strata = FALSE)
  })), "real_trial_dropout_tests.csv")
}
