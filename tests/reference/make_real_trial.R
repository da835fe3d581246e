# Retention of the CDISC pilot study (CDISCPILOT01), by arm, as R's survfit() sees it: curves, no rows of patients.
#
#   cd tests/reference && Rscript make_real_trial.R <folder of adsl.xpt and sv.xpt>
#
# R 4.2 with the packages foreign and survival 3.5 (Debian: r-recommended). Nothing is random.

library(foreign)
library(survival)
options(digits = 15, warn = 1)

folder <- commandArgs(trailingOnly = TRUE)[1]
patients <- read.xport(file.path(folder, "adsl.xpt"))
visits <- read.xport(file.path(folder, "sv.xpt"))

# Baseline and the visits of weeks 2 to 26 at the site; two on one day are one session.
visits <- visits[visits$VISITNUM %in% c(3, 4, 5, 7, 8, 9, 10, 11, 12, 13), ]
visits <- unique(data.frame(id = visits$USUBJID, day = as.integer(as.Date(visits$SVSTDTC))))
held <- do.call(rbind, lapply(split(visits, visits$id), function(d) {
  data.frame(id = d$id[1], sessions = nrow(d), days = max(d$day) - min(d$day))
}))
arms <- c("Placebo" = "placebo", "Xanomeline Low Dose" = "low_dose", "Xanomeline High Dose" = "high_dose")
courses <- merge(data.frame(id = patients$USUBJID, arm = arms[patients$TRT01A],
                            finished = patients$DCDECOD == "COMPLETED"), held, by = "id")
stopifnot(nrow(courses) == 254, sum(courses$finished) == 110)
courses$lost <- as.integer(!courses$finished & courses$sessions < 10)  # who came to all ten has not dropped out

# A course with m sessions that was given up fails at session m + 1, or on the day of its last session.
curve <- function(d, kind) {
  time <- if (kind == "session") d$sessions + d$lost else d$days
  fit <- survfit(Surv(time, d$lost) ~ 1, conf.type = "log-log")
  median <- quantile(fit, 0.5)
  data.frame(arm = d$arm[1], kind = kind, time = fit$time, at_risk = fit$n.risk, events = fit$n.event,
             estimate = fit$surv, std_error = fit$surv * fit$std.err, conf_low = fit$lower, conf_high = fit$upper,
             median = as.numeric(median$quantile), median_low = as.numeric(median$lower),
             median_high = as.numeric(median$upper))
}
curves <- do.call(rbind, lapply(c("session", "day"), function(kind) {
  do.call(rbind, lapply(split(courses, courses$arm), curve, kind = kind))
}))
write.csv(curves, "real_trial_retention.csv", row.names = FALSE, quote = FALSE)
