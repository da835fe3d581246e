# Response in the CDISC pilot study (CDISCPILOT01): ADAS-Cog 4 points better at week 24, arms compared. No rows of patients.
#
#   cd tests/reference && Rscript make_real_response.R <folder of adsl.xpt, sv.xpt and adqsadas.csv>
#
# R 4.2 with the package foreign (Debian: r-recommended). Nothing is random.

library(foreign)
options(digits = 15, warn = 1)

folder <- commandArgs(trailingOnly = TRUE)[1]
patients <- read.xport(file.path(folder, "adsl.xpt"))
visits <- read.xport(file.path(folder, "sv.xpt"))
scores <- read.csv(file.path(folder, "adqsadas.csv"))
arms <- c("Placebo" = "placebo", "Xanomeline Low Dose" = "low_dose", "Xanomeline High Dose" = "high_dose")

# Days since the first visit at which treatment was given; SAS counts days from 1960.
date_of <- function(x) if (is.numeric(x)) as.Date(x, origin = "1960-01-01") else as.Date(as.character(x))
first <- visits[visits$VISITNUM == 3, ]
first <- setNames(date_of(first$SVSTDTC), first$USUBJID)
started <- setNames(date_of(patients$TRTSDT), patients$USUBJID)
scores <- scores[is.na(scores$DTYPE) | scores$DTYPE == "", ]
scores$day <- as.integer(started[scores$USUBJID] + scores$ADY - 1 - first[scores$USUBJID])
last_before <- function(d) { d <- d[d$day <= 0, ]; if (nrow(d)) d$AVAL[which.max(d$day)] else NA }
near <- function(d) {                       # the nearest to day 168, of two as near the later
  d <- d[d$day > 0 & abs(d$day - 168) <= 14, ]
  if (nrow(d)) d$AVAL[order(abs(d$day - 168), -d$day)[1]] else NA
}
by_patient <- split(scores, scores$USUBJID)
trial <- data.frame(id = as.character(patients$USUBJID), arm = arms[as.character(patients$TRT01A)],
                    sex = as.character(patients$SEX), site = as.character(patients$SITEID))
trial$baseline <- sapply(trial$id, function(id) if (is.null(by_patient[[id]])) NA else last_before(by_patient[[id]]))
trial$value <- sapply(trial$id, function(id) if (is.null(by_patient[[id]])) NA else near(by_patient[[id]]))
trial$evaluable <- !is.na(trial$baseline) & !is.na(trial$value)
trial$responder <- trial$evaluable & trial$baseline - trial$value >= 4
stopifnot(nrow(trial) == 254)

pooled <- function(d, group, stratum) {     # strata with both arms; arm of interest and responders first
  tables <- table(factor(d$arm, c(group, "placebo")), factor(d$responder, c(TRUE, FALSE)), d[[stratum]])
  informative <- apply(tables, 3, function(t) all(rowSums(t) > 0) && all(colSums(t) > 0))
  mantelhaen.test(tables[, , informative], correct = FALSE)
}
standardized <- function(d, group) {        # everybody in one arm, then everybody in the other
  d$given <- factor(d$arm, c("placebo", group))
  fit <- glm(responder ~ baseline + sex + given, binomial, d, control = list(epsilon = 1e-14))
  risk <- function(everybody) {
    d$given[] <- everybody
    mean(predict(fit, d, type = "response"))
  }
  c(risk(group) - risk("placebo"), risk(group) / risk("placebo"))
}
compared <- do.call(rbind, lapply(c("treated", "evaluable"), function(denominator) {
  do.call(rbind, lapply(c("low_dose", "high_dose"), function(group) {
    d <- trial[trial$arm %in% c(group, "placebo") & (denominator == "treated" | trial$evaluable), ]
    counts <- table(factor(d$arm, c(group, "placebo")), factor(d$responder, c(TRUE, FALSE)))
    fisher <- fisher.test(counts)
    sex <- pooled(d, group, "sex")
    site <- pooled(d, group, "site")
    adjusted <- standardized(d[!is.na(d$baseline), ], group)
    data.frame(denominator, arm = group, events = counts[1, 1], n = sum(counts[1, ]), placebo_events = counts[2, 1],
               placebo_n = sum(counts[2, ]), fisher_p = fisher$p.value,
               sex_odds = sex$estimate, sex_low = sex$conf.int[1], sex_high = sex$conf.int[2], sex_p = sex$p.value,
               site_odds = site$estimate, site_low = site$conf.int[1], site_high = site$conf.int[2], site_p = site$p.value,
               adjusted_difference = adjusted[1], adjusted_ratio = adjusted[2])
  }))
}))
write.csv(compared, "real_trial_response.csv", row.names = FALSE, quote = FALSE)

# Grades of improvement: worse by 4 points or more, in between, better by 4 or more, and the improvement itself by ranks.
ranks <- do.call(rbind, lapply(c("low_dose", "high_dose"), function(group) {
  d <- trial[trial$arm %in% c(group, "placebo") & trial$evaluable, ]
  improved <- d$baseline - d$value
  own <- d$arm == group
  wins <- outer(improved[own], improved[!own], ">") + outer(improved[own], improved[!own], "==") / 2
  test <- wilcox.test(improved[own], improved[!own], exact = FALSE, correct = FALSE)
  data.frame(arm = group, n = sum(own), placebo_n = sum(!own), win_probability = mean(wins), p_value = test$p.value)
}))
write.csv(ranks, "real_trial_ranks.csv", row.names = FALSE, quote = FALSE)
