# Reference values for the tests of mesostats.session_gaps, written by R beside this script as CSV.
#
#   cd tests/reference && Rscript make_session_gaps.R
#
# R 4.2 with the package survey 4.1 (Debian: r-cran-survey). The data are drawn once, with a fixed seed, and kept.
# svyquantile(interval.type = "mean") puts the interval about the share that does not exceed the estimated quantile. With
# days, of which few values are possible, that share may be far above the one asked for, so that the interval moves up;
# here it stands about the share asked for, and its limits are carried back as the quantile is. The variance is the same.

suppressPackageStartupMessages(library(survey))
options(digits = 15, warn = 1)

save_csv <- function(frame, name) write.csv(frame, name, row.names = FALSE, quote = FALSE)

set.seed(20240101)
patients <- 40
gaps <- do.call(rbind, lapply(seq_len(patients), function(i) {
  usual <- rnorm(1, 9, 2)
  data.frame(patient = i, gap = pmax(1, round(rnorm(sample(2:9, 1), usual, 2.5))))
}))
save_csv(gaps, "session_gaps_data.csv")

design <- svydesign(ids = ~patient, weights = ~1, data = gaps)
least <- function(share) unname(quantile(gaps$gap, share, type = 1))  # the inverse of the distribution function

woodruff <- function(estimand, share) {
  at <- least(share)
  reached <- update(design, reached = as.numeric(gap <= at))
  error <- SE(svymean(~reached, reached))[1]
  width <- qt(0.975, patients - 1) * error
  low <- least(share - width)
  high <- least(share + width)
  data.frame(
    estimand, estimate = at, conf_low = low, conf_high = high,
    std_error = (high - low) / (2 * qt(0.975, patients - 1))
  )
}
save_csv(
  rbind(
    woodruff("lower_quartile_gap", 0.25), woodruff("median_gap", 0.5), woodruff("upper_quartile_gap", 0.75)
  ),
  "session_gaps_quantiles.csv"
)
sessionInfo()
