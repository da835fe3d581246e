# Reference values for funnels and for exact tests of lots, written by R beside this script as CSV.
#
#   cd tests/reference && Rscript make_signals.R
#
# R 4.2 with the package coin 1.4 (Debian: r-cran-coin). Nothing is random. Every CSV holds the inputs next to what R
# made of them; the R call that made a number stands at its place below.

suppressPackageStartupMessages(library(coin))
options(digits = 15, warn = 1)

save_csv <- function(frame, name) write.csv(frame, name, row.names = FALSE, quote = FALSE)
rows <- function(parts) do.call(rbind, parts)

# --- funnels ----------------------------------------------------------------------------------------------------

# Spiegelhalter 2005: the binomial quantile interpolated between whole numbers.
# Each limit from its own tail, since 1 - p would round where p is small.
control_limit <- function(n, target, tail, lower) {
  r <- qbinom(tail, n, target, lower.tail = lower)
  limit <- (r - abs(pbinom(r, n, target, lower.tail = lower) - tail) / dbinom(r, n, target)) / n
  ifelse(n > 0, pmin(pmax(limit, 0), 1), NaN)
}
limits <- function(n, target, factor, level) {
  tail <- pnorm(-qnorm((1 - level) / 2, lower.tail = FALSE) * sqrt(factor))
  data.frame(low = control_limit(n, target, tail, TRUE), high = control_limit(n, target, tail, FALSE))
}
grid <- expand.grid(n = c(0, 1, 2, 5, 17, 60, 250, 1000, 20000), target = c(0.0005, 0.02, 0.1, 0.5, 0.93),
                    variance_factor = c(1, 1.7, 6), conf_level = c(0.8, 0.95, 0.998))
save_csv(rows(lapply(seq_len(nrow(grid)), function(i) {
  cbind(grid[i, ], with(grid[i, ], limits(n, target, variance_factor, conf_level)))
})), "funnel_limits.csv")

# z scores from mid-p values; the over-dispersion from z scores drawn in to their quantiles (type 7), not below 1.
winsorised <- function(z, share) pmin(pmax(z, quantile(z, share)), quantile(z, 1 - share))
funnel <- function(set, events, n, target = NULL, design_effect = 1, winsorise = 0.1, overdispersion = TRUE) {
  overall <- if (is.null(target)) sum(events) / sum(n) else target
  half <- dbinom(events, n, overall) / 2
  below <- pbinom(events - 1, n, overall) + half
  above <- pbinom(events, n, overall, lower.tail = FALSE) + half
  naive <- ifelse(below < above, qnorm(below), -qnorm(above)) / sqrt(design_effect)
  phi <- if (overdispersion) max(1, mean(winsorised(naive, winsorise)^2)) else 1
  tail <- pmin(pbinom(events, n, overall), pbinom(events - 1, n, overall, lower.tail = FALSE))
  p <- pmin(1, 2 * pnorm(qnorm(tail) / sqrt(design_effect * phi)))
  inner <- limits(n, overall, design_effect * phi, 0.95)
  outer <- limits(n, overall, design_effect * phi, 0.998)
  data.frame(set = set, events = events, n = n, given = if (is.null(target)) NA else target,
             design_effect = design_effect, winsorise = winsorise, allow = overdispersion,
             target = overall, estimate = events / n, statistic = naive / sqrt(phi), p_value = p, overdispersion = phi,
             low_0.95 = inner$low, high_0.95 = inner$high, low_0.998 = outer$low, high_0.998 = outer$high)
}
# Thirty units of very unlike size; events that scatter little, much, and hardly ever come.
size <- 10 + (seq_len(30) * 53) %% 400
even <- round(size * 0.12 + ((seq_len(30) * 7) %% 5) - 2)
wild <- pmin(size, round(size * c(0.05, 0.1, 0.2, 0.4)[1 + seq_len(30) %% 4]))
save_csv(rows(list(
  funnel("even", pmax(even, 0), size),
  funnel("wild", wild, size),
  funnel("wild_clustered", wild, size, design_effect = 1.8, winsorise = 0.2),
  funnel("wild_strict", wild, size, overdispersion = FALSE),
  funnel("rare", as.integer(seq_len(30) %% 9 == 0) * c(1, 4), size),
  funnel("given", pmax(even, 0), size, target = 0.2),
  funnel("alone", 3, 40),
  funnel("far", c(rep(5, 11), 90), rep(100, 12))
)), "funnel.csv")

# --- exact tests of lots ----------------------------------------------------------------------------------------

# One row a stratum: exposed with an event, exposed, others with an event, others.
four <- function(set, a, n1, c, n0) data.frame(set = set, stratum = seq_along(a), a = a, n1 = n1, c = c, n0 = n0)
admissions <- apply(UCBAdmissions, 3, function(t) c(t[1, 2], sum(t[, 2]), t[1, 1], sum(t[, 1])))
tables <- rows(list(
  four("balearics", 17, 77, 1, 400),                          # 17 of 77 exposed, as in Balearics 2009
  four("france", 16, 105, 2, 230),                            # 16 of 105 exposed, as in France 2007
  four("tea", 3, 4, 1, 4),                                    # Fisher's tea tasting, ?fisher.test
  four("none_exposed_hit", 0, 12, 5, 30),
  four("rabbits", c(0, 3, 6, 5, 2), c(6, 6, 6, 6, 2), c(0, 0, 2, 6, 5), c(5, 6, 6, 6, 5)),  # ?mantelhaen.test, shaped
  four("lots", c(2, 1, 3, 0, 4), c(9, 4, 6, 3, 5), c(1, 0, 2, 1, 1), c(80, 55, 31, 12, 6)),
  four("admissions", admissions[1, ], admissions[2, ], admissions[3, ], admissions[4, ])
))
test <- function(d) {
  cells <- with(d, rbind(a, n1 - a, c, n0 - c))
  array_of <- array(cells, c(2, 2, nrow(d)))                  # event x exposure x stratum
  if (nrow(d) == 1) fisher.test(array_of[, , 1], alternative = "greater")$p.value
  else mantelhaen.test(array_of, exact = TRUE, alternative = "greater")$p.value
}
moments <- function(d) with(d, {
  n <- n1 + n0
  m <- a + c
  c(expected = sum(n1 * m / n), variance = sum(n1 * n0 * m * (n - m) / (n^2 * (n - 1))))
})
save_csv(rows(lapply(split(tables, factor(tables$set, unique(tables$set))), function(d) {
  cbind(d, t(moments(d)), p_value = test(d))
})), "lot_tables.csv")
# With one stratum the p value is phyper's: 17 or more of 18 events among 77 of 477.
stopifnot(all.equal(phyper(16, 18, 459, 77, lower.tail = FALSE), test(tables[1, ])))

# Scores of any size: coin's shift algorithm for one stratum; every way to draw, for several.
scores <- rows(list(
  data.frame(set = "one", stratum = 1, score = c(0, 0, 1, 0, 3, 1, 0, 0, 2, 0, 0, 1, 0, 5, 0, 0),
             exposed = as.integer(seq_len(16) %in% c(3, 5, 9, 14, 1))),
  data.frame(set = "many", stratum = 1, score = (seq_len(120) * 11) %% 17 %/% 5 * ((seq_len(120) * 3) %% 4 == 0),
             exposed = as.integer((seq_len(120) * 7) %% 12 < 4)),
  data.frame(set = "strata", stratum = rep(1:3, c(7, 6, 8)),
             score = c(0, 2, 1, 0, 0, 3, 0, 1, 1, 0, 0, 2, 0, 0, 0, 4, 1, 0, 2, 0, 1),
             exposed = c(0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0))
))
sums <- function(d) combn(d$score, sum(d$exposed), sum)      # of every sample as large as the exposed
score_test <- function(d) {
  if (d$set[1] != "strata") {
    d$group <- factor(d$exposed, levels = c(1, 0))
    return(as.numeric(pvalue(oneway_test(score ~ group, d, distribution = exact(), alternative = "greater"))))
  }
  every <- Reduce(function(a, b) outer(a, b, "+"), lapply(split(d, d$stratum), sums))
  mean(every >= sum(d$score[d$exposed == 1]))
}
variance <- function(d) {                                     # of the sum of a sample drawn without replacement
  n <- nrow(d)
  k <- sum(d$exposed)
  k * (n - k) / n * var(d$score)
}
save_csv(rows(lapply(split(scores, factor(scores$set, unique(scores$set))), function(d) {
  parts <- split(d, d$stratum)
  cbind(d, expected = sum(sapply(parts, function(s) sum(s$exposed) * mean(s$score))),
        variance = sum(sapply(parts, variance)), p_value = score_test(d))
})), "lot_scores.csv")

sessionInfo()
