# Reference values for tests/estimators/test_interval_censored.py, written by R beside this script as CSV.
#
#   cd tests/reference && Rscript make_interval_censored.R
#
# R 4.2 with the package survival 3.5 (Debian: r-cran-survival). Nothing is random: the pseudo-random visits are those of a
# linear congruential generator. The estimate is that of survfit() on Surv(left, right, type = "interval2"), and its maximum; the
# standard error of survfit() takes shared-out events for observed ones and is not kept.

library(survival)
options(digits = 17, warn = 1)

save_csv <- function(frame, name) write.csv(frame, name, row.names = FALSE, quote = FALSE)
rows <- function(parts) do.call(rbind, parts)

uniform <- function(n, state) {
  drawn <- numeric(n)
  for (place in seq_len(n)) {
    state <- (state * 16807) %% 2147483647
    drawn[place] <- state / 2147483647
  }
  drawn
}

visits <- function(n, state, often) {  # up to `often` visits in 120 days; 40 % never respond
  u <- matrix(uniform(n * (often + 2), state), nrow = n)
  rows(lapply(seq_len(n), function(i) {
    response <- if (u[i, 1] < 0.4) Inf else -45 * log(u[i, 2])
    seen <- sort(unique(5 + floor(115 * u[i, 2 + seq_len(1 + i %% often)])))
    data.frame(left = max(0, seen[seen < response]), right = min(Inf, seen[seen >= response]))
  }))
}

sets <- list(
  # Time to cosmetic deterioration of the breast, radiotherapy alone: Finkelstein and Wolfe 1985, doi:10.2307/2530965
  breast = data.frame(
    left = c(45, 6, 0, 46, 46, 7, 17, 7, 37, 0, 4, 15, 11, 22, 46, 46, 25, 46, 26, 46, 27, 36, 46, 32, 46, 36, 40, 46, 46,
             37, 34, 46, 24, 38, 40, 19, 37, 33, 34, 33, 46, 45, 5, 18, 46, 0),
    right = c(NA, 10, 7, NA, NA, 16, NA, 14, 44, 8, 11, NA, 15, NA, NA, NA, 37, NA, 40, NA, 34, 44, NA, NA, NA, 48, NA, NA, NA,
              NA, NA, NA, NA, NA, NA, 25, NA, NA, NA, NA, NA, NA, 12, 25, NA, 5)
  ),
  grid = data.frame(left = c(0, 0, 0, 14, 14, 28, 0, 28, 42, 42, 14, 42), right = c(14, 28, 42, 28, 42, 42, 14, NA, NA, NA, NA, NA)),
  exact = data.frame(left = c(3, 0, 5, 8, 2, 5), right = c(3, 5, 5, NA, 8, 9)),  # 3 and 5 are known to the day
  clinic = transform(visits(80, 20240101, 3), right = ifelse(is.finite(right), right, NA)),
  often = transform(visits(150, 777, 5), right = ifelse(is.finite(right), right, NA))
)

save_csv(rows(lapply(names(sets), function(name) cbind(set = name, sets[[name]]))), "interval_censored.csv")

# survfit() stops when the curve changes by less than 5e-5 and so is some 1e-3 from the maximum. `maximum` takes the masses
# of its jumps further by expectation-maximisation, one half of a quadratic programme's work that base R can do.
covering <- function(data, time) {
  right <- ifelse(is.na(data$right), Inf, data$right)
  outer(seq_len(nrow(data)), seq_along(time), function(i, j) {
    (time[j] > data$left[i] & time[j] <= right[i]) | (data$left[i] == right[i] & time[j] == right[i])
  })
}
survival_fit <- function(data) survfit(Surv(left, right, type = "interval2") ~ 1, data = data)
maximum <- function(data, time) {
  covers <- covering(data, c(time, Inf))
  mass <- rep(1 / ncol(covers), ncol(covers))
  for (cycle in seq_len(200000)) {
    pull <- colMeans(covers / as.vector(covers %*% mass))
    mass <- mass * pull
    if (max(pull) - 1 < 1e-10) break
  }
  mass / sum(mass)
}

found <- rows(lapply(names(sets), function(name) {
  fit <- survival_fit(sets[[name]])
  time <- fit$time[fit$n.event > 0]
  mass <- maximum(sets[[name]], time)
  survfit_estimate <- fit$surv[fit$n.event > 0]
  data.frame(set = name, time = time, survfit = survfit_estimate, mass = mass[-length(mass)],
             estimate = 1 - cumsum(mass)[-length(mass)])
}))
save_csv(found, "turnbull.csv")

# The information: minus the numerical Hessian of the log-likelihood in the masses above 0 but the last one.
save_csv(rows(lapply(c("clinic", "often"), function(name) {
  own <- subset(found, set == name & mass > 1e-7)
  covers <- covering(sets[[name]], c(own$time, Inf))
  loglik <- function(p) sum(log(covers %*% c(p, 1 - sum(p))))
  step <- pmin(own$mass, 1e-2) / 20
  variance <- solve(-optimHess(own$mass, loglik, control = list(ndeps = step)))
  lower <- lower.tri(variance, diag = TRUE) + 0
  data.frame(set = name, time = own$time, std_error = sqrt(diag(lower %*% variance %*% t(lower))))
})), "turnbull_errors.csv")
