# Reference values for tests/estimators/test_paired.py, test_trends.py and test_balance.py, written by R beside this script.
#
#   cd tests/reference && Rscript make_response_times.R
#
# Base R 4.2 (stats). Nothing is random. Wilson limits are those of prop.test(), tests those of binom.test() and
# prop.trend.test(); Newcombe's and Yang and Dalton's formulas are written out from their papers.

options(digits = 17, warn = 1)
save_csv <- function(frame, name) write.csv(frame, name, row.names = FALSE, quote = FALSE)
rows <- function(parts) do.call(rbind, parts)

# --- the same units twice: e both, f before only, g after only, h neither ----------------------------------------------
pairs <- data.frame(e = c(36, 20, 36, 20, 10, 0, 8, 30, 0, 5), f = c(12, 12, 14, 0, 0, 4, 2, 0, 0, 3), g = c(2, 2, 0, 0, 0, 1, 1, 0, 0, 3),
                    h = c(0, 16, 0, 30, 0, 0, 4, 0, 30, 9))
wilson <- function(x, n, level) suppressWarnings(prop.test(x, n, conf.level = level, correct = FALSE))$conf.int
newcombe <- function(e, f, g, h, level) {
  n <- e + f + g + h
  before <- (e + f) / n; after <- (e + g) / n
  first <- wilson(e + f, n, level); second <- wilson(e + g, n, level)
  top <- e * h - f * g
  if (top > 0) top <- max(top - n / 2, 0)
  bottom <- sqrt((e + f) * (g + h) * (e + g) * (f + h))
  phi <- if (bottom == 0) 0 else top / bottom
  a <- after - second[1]; b <- first[2] - before; c <- second[2] - after; d <- before - first[1]
  c(after - before - sqrt(a^2 - 2 * phi * a * b + b^2), after - before + sqrt(c^2 - 2 * phi * c * d + d^2))
}
save_csv(rows(Map(function(e, f, g, h) {
  rows(lapply(c(0.9, 0.95), function(level) {
    limits <- newcombe(e, f, g, h, level)
    data.frame(e, f, g, h, conf_level = level, estimate = (g - f) / (e + f + g + h), conf_low = limits[1], conf_high = limits[2],
               p_value = if (f + g == 0) 1 else binom.test(g, f + g)$p.value)
  }))
}, pairs$e, pairs$f, pairs$g, pairs$h)), "paired.csv")

# --- trend: prop.trend.test(), and the slope by lm() with its jackknife, or where larger the binomial ------------------------------------------------
trends <- list(
  rising = list(x = c(2, 5, 9, 12), n = c(20, 21, 19, 18), score = 1:4),
  flat = list(x = c(5, 5, 6), n = c(12, 11, 13), score = c(1, 2, 4)),
  falling = list(x = c(8, 3, 0), n = c(9, 10, 4), score = c(2, 3, 10)),
  lonely = list(x = c(6, 2, 0), n = c(12, 5, 2), score = c(3, 4, 6))
)
save_csv(rows(lapply(names(trends), function(name) {
  with(trends[[name]], {
    test <- prop.trend.test(x, n, score)
    y <- unlist(Map(function(hit, of) rep(1:0, c(hit, of - hit)), x, n))
    s <- rep(score, n)
    slope <- function(keep) cov(y[keep], s[keep]) / var(s[keep])
    without <- vapply(seq_along(y), function(i) slope(-i), 0)
    k <- length(y)
    data.frame(set = name, score = score, x = x, n = n, estimate = unname(coef(lm(y ~ s))[2]),
               std_error = max(sqrt((k - 1) / k * sum((without - mean(without))^2)),
                               sqrt(mean(y) * (1 - mean(y)) / sum((s - mean(s))^2))),
               statistic = unname(sqrt(test$statistic)), p_value = test$p.value)
  })
})), "proportion_trend.csv")

# --- standardized difference of a category: Yang and Dalton 2012 -------------------------------------------------------
tables <- list(three = rbind(c(10, 20, 30), c(25, 15, 20)), four = rbind(c(4, 9, 2, 15), c(8, 8, 8, 8)), two = rbind(c(30, 10), c(20, 20)))
distance <- function(first, second) {
  p <- (first / sum(first))[-length(first)]; q <- (second / sum(second))[-length(second)]
  s <- (diag(p, length(p)) - p %o% p + diag(q, length(q)) - q %o% q) / 2
  sqrt(drop(t(p - q) %*% solve(s, p - q)))
}
save_csv(rows(lapply(names(tables), function(name) {
  both <- tables[[name]]
  data.frame(set = name, level = seq_len(ncol(both)), first = both[1, ], second = both[2, ], estimate = distance(both[1, ], both[2, ]))
})), "share_difference.csv")
