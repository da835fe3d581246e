# Side effects of the CDISC pilot study (CDISCPILOT01), by arm: counts, Fisher's exact test and rates; no rows of patients.
#
#   cd tests/reference && Rscript make_real_side_effects.R <folder of adsl.xpt, adae.xpt and sv.xpt>
#
# R 4.2 with the package foreign (Debian: r-recommended). Nothing is random.

library(foreign)
options(digits = 15, warn = 1)

folder <- commandArgs(trailingOnly = TRUE)[1]
patients <- read.xport(file.path(folder, "adsl.xpt"))
events <- read.xport(file.path(folder, "adae.xpt"))
visits <- read.xport(file.path(folder, "sv.xpt"))
arms <- c("Placebo" = "placebo", "Xanomeline Low Dose" = "low_dose", "Xanomeline High Dose" = "high_dose")
patients$arm <- arms[as.character(patients$TRT01A)]
events <- events[events$TRTEMFL == "Y", ]
events$arm <- arms[as.character(events$TRTA)]
events$onset <- as.integer(events$ASTDT)           # days since 1960-01-01
size <- table(patients$arm)
stopifnot(nrow(patients) == 254, nrow(events) == 1126)

# Patients with at least one event of each term and of each body system, and Fisher's test against placebo.
tests <- do.call(rbind, lapply(c(term = "AEDECOD", term_class = "AEBODSYS"), function(column) {
  do.call(rbind, lapply(sort(unique(as.character(events[[column]]))), function(kind) {
    having <- function(arm) length(unique(events$USUBJID[events[[column]] == kind & events$arm == arm]))
    do.call(rbind, lapply(c("low_dose", "high_dose"), function(arm) {
      y <- having(arm); y0 <- having("placebo"); n <- size[[arm]]; n0 <- size[["placebo"]]
      p <- if (y + y0 > 0) fisher.test(matrix(c(y, n - y, y0, n0 - y0), 2))$p.value else NA
      data.frame(of = names(which(c(term = "AEDECOD", term_class = "AEBODSYS") == column)), kind = kind, arm = arm,
                 patients = y, n = n, placebo_patients = y0, placebo_n = n0, fisher_p = p)
    }))
  }))
}))
tests$bh <- ave(tests$fisher_p, tests$of, tests$arm, FUN = function(p) p.adjust(p, "BH"))
write.csv(tests, "real_trial_terms.csv", row.names = FALSE)

# Time at risk: from the first visit at the site (weeks 0 to 26) to 60 days after the last; both days count.
visits <- visits[visits$VISITNUM %in% c(3, 4, 5, 7, 8, 9, 10, 11, 12, 13), ]
day <- as.integer(as.Date(as.character(visits$SVSTDTC))) + 3653L      # to days since 1960-01-01
first <- tapply(day, as.character(visits$USUBJID), min)
last <- tapply(day, as.character(visits$USUBJID), max) + 60L
onset <- tapply(events$onset, as.character(events$USUBJID), min)
rates <- do.call(rbind, lapply(arms, function(arm) {
  ids <- as.character(patients$USUBJID[patients$arm == arm])
  until <- pmin(last[ids], onset[ids], na.rm = TRUE)
  all_days <- sum(last[ids] - first[ids] + 1)
  first_days <- sum(until - first[ids] + 1)
  number <- sum(!is.na(onset[ids]))
  exact <- poisson.test(number, first_days * 12 / 365.25)
  data.frame(arm = arm, days = all_days, events = sum(events$arm == arm), first_days = first_days,
             first_events = number, conf_low = exact$conf.int[1], conf_high = exact$conf.int[2])
}))
write.csv(rates, "real_trial_rates.csv", row.names = FALSE)
