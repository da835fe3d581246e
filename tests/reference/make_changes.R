# Reference values for the tests of continuous change (mesostats.estimators: repeated_measures, visit_means, ancova), written by
# R beside this script as CSV.
#
#   cd tests/reference && Rscript make_changes.R
#
# R 4.2 with the packages nlme 3.1, emmeans 1.8, clubSandwich 0.5 and numDeriv 2016.8 (Debian: r-cran-nlme, r-cran-emmeans,
# r-cran-clubsandwich, r-cran-numderiv). Nothing is random: the data are made of a congruential sequence. The R call that
# made a number stands at its place below.

suppressPackageStartupMessages({
  library(nlme)
  library(emmeans)
  library(clubSandwich)
  library(numDeriv)
})
options(digits = 15, warn = 1)

save_csv <- function(frame, name) write.csv(frame, name, row.names = FALSE, quote = FALSE)
rows <- function(parts) do.call(rbind, parts)

# --- data -------------------------------------------------------------------------------------------------------

uniform <- function(n, seed) {            # Park and Miller 1988
  state <- seed
  sapply(seq_len(n), function(i) {
    state <<- (48271 * state) %% 2147483647
    state / 2147483647
  })
}
# Subjects with errors of any covariance; leaving is likelier after a bad value, and single visits are skipped.
made <- function(set, subjects, visits, arms, seed, leave = 0.15, skip = 0.05) {
  mixing <- matrix(uniform(visits^2, seed) - 0.2, visits) / 2 + diag(visits)
  errors <- matrix(qnorm(uniform(subjects * visits, seed + 1)), subjects) %*% mixing * 4
  arm <- arms[1 + floor(uniform(subjects, seed + 2) * length(arms))]
  site <- c("north", "south", "west")[1 + floor(uniform(subjects, seed + 3) * 3)]
  base <- round(25 + 8 * qnorm(uniform(subjects, seed + 4)), 1)
  change <- errors + outer(-0.3 * (base - 25) + 2 * (site == "south"), rep(1, visits)) +
    outer(match(arm, arms) - 1, -seq_len(visits)) + 0.05 * outer(base - 25, seq_len(visits))
  draws <- matrix(uniform(subjects * visits, seed + 5), subjects)
  seen <- t(sapply(seq_len(subjects), function(i) {
    left <- cummax(c(FALSE, draws[i, -visits] < leave * (1 + (change[i, -visits] > 2)))) == 1
    !left & !(draws[i, ] > 1 - skip)
  }))
  frame <- data.frame(set = set, subject = rep(seq_len(subjects), each = visits), visit = rep(seq_len(visits), subjects),
                      arm = rep(arm, each = visits), site = rep(site, each = visits), base = rep(base, each = visits),
                      change = round(as.vector(t(change)), 3))
  frame[as.vector(t(seen)), ]
}
observed <- rows(list(
  made("clinic", 60, 3, c("a_control", "b_active"), 11),
  made("trial", 150, 4, c("a_control", "b_low", "c_high"), 29),
  made("small", 24, 3, c("a_control", "b_active"), 47, 0.1, 0),
  made("scale", 80, 2, c("a_control", "b_active"), 61),
  made("full", 30, 3, c("a_control", "b_active"), 83, 0, 0)
))
observed$change[observed$set == "scale"] <- 1000 * observed$change[observed$set == "scale"] + 1e5
save_csv(observed, "repeated_observations.csv")
sets <- split(observed, factor(observed$set, unique(observed$set)))

# --- mixed models for repeated measures ----------------------------------------------------------------------------

tight <- glsControl(tolerance = 1e-12, msTol = 1e-14, maxIter = 1000, msMaxIter = 1000, opt = "nlminb")
model <- change ~ arm * visit + site + base * visit
fitted <- function(data, kind) {
  correlation <- if (kind == "unstructured") corSymm(form = ~ as.integer(visit) | subject) else corCompSymm(form = ~ 1 | subject)
  gls(model, data, correlation = correlation, weights = varIdent(form = ~ 1 | visit), method = "REML", control = tight)
}

# The restricted likelihood written down anew, with one matrix for all observations, as a function of the entries of the
# covariance matrix, and its derivatives by Richardson extrapolation: independent of nlme and of the program tested.
reml <- function(entries, X, y, subject, visit, form) {
  S <- form(entries)
  value <- 0
  XVX <- matrix(0, ncol(X), ncol(X))
  XVy <- numeric(ncol(X))
  yVy <- 0
  for (rows in split(seq_along(y), subject)) {
    W <- solve(S[visit[rows], visit[rows], drop = FALSE])
    x <- X[rows, , drop = FALSE]
    value <- value - as.numeric(determinant(W)$modulus)
    XVX <- XVX + t(x) %*% W %*% x
    XVy <- XVy + t(x) %*% W %*% y[rows]
    yVy <- yVy + sum(y[rows] * (W %*% y[rows]))
  }
  beta <- solve(XVX, XVy)
  list(value = as.numeric(value + determinant(XVX)$modulus + yVy - sum(XVy * beta)) / 2, beta = beta, Phi = solve(XVX))
}
steps <- list(d = 0.01)                   # of the entries: with the default tenth the matrix would not stay positive definite
newton <- function(entries, objective) {  # from the optimum of nlme to that of the likelihood above
  for (step in 1:3) {
    entries <- entries - solve(hessian(objective, entries, method.args = steps), grad(objective, entries, method.args = steps))
  }
  entries
}
satterthwaite <- function(contrast, entries, at, A) {
  variance <- function(e) as.numeric(t(contrast) %*% at(e)$Phi %*% contrast)
  g <- grad(variance, entries, method.args = steps)
  2 * variance(entries)^2 / as.numeric(t(g) %*% A %*% g)
}
unstructured <- function(visits) function(e) {
  S <- matrix(0, visits, visits)
  S[lower.tri(S, TRUE)] <- e
  S + t(S) - diag(diag(S), visits)
}
# Heterogeneous compound symmetry: standard deviations, then the correlation.
symmetric <- function(visits) function(e) {
  s <- e[seq_len(visits)]
  outer(s, s) * (e[visits + 1] + diag(1 - e[visits + 1], visits))
}

lines <- list()
fits <- list()
covariances <- list()
for (name in names(sets)) {
  data <- sets[[name]]
  data$visit <- factor(data$visit)
  visits <- nlevels(data$visit)
  X <- model.matrix(model, data)
  for (kind in c("unstructured", "compound_symmetry")) {
    fit <- fitted(data, kind)
    grid <- emmeans(fit, ~ arm * visit, mode = "df.error")     # equal weights over sites, base at its mean over the rows
    sd <- fit$sigma * coef(fit$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE)[levels(data$visit)]
    correlations <- coef(fit$modelStruct$corStruct, unconstrained = FALSE)
    if (kind == "unstructured") {
      form <- unstructured(visits)
      R <- diag(visits) / 2
      R[lower.tri(R)] <- correlations
      S <- (R + t(R)) * outer(sd, sd)
      start <- S[lower.tri(S, TRUE)]
    } else {
      form <- symmetric(visits)
      start <- c(sd, correlations)
    }
    at <- function(e) reml(e, X, data$change, data$subject, as.integer(data$visit), form)
    objective <- function(e) at(e)$value
    entries <- newton(start, objective)
    found <- at(entries)
    A <- solve(hessian(objective, entries, method.args = steps))
    slope <- grad(objective, entries, method.args = steps)
    stopifnot(min(eigen(A)$values) > 0, sum(slope * (A %*% slope)) < 1e-14)
    loglik <- -found$value - (nrow(X) - ncol(X)) / 2 * log(2 * pi)
    # nlme agrees with the likelihood above: to its own convergence, a thousandth of a standard error
    stopifnot(abs(loglik - as.numeric(logLik(fit))) < 1e-6,
              max(abs((coef(fit) - found$beta) / sqrt(diag(found$Phi)))) < 1e-3)
    means <- grid@linfct
    cells <- grid@grid[, c("arm", "visit")]
    compared <- cells$arm != "a_control"
    base <- match(paste("a_control", cells$visit), paste(cells$arm, cells$visit))
    contrasts <- rbind(means, means[compared, , drop = FALSE] - means[base[compared], , drop = FALSE])
    lines[[paste(name, kind)]] <- data.frame(
      set = name, covariance = kind, arm = c(as.character(cells$arm), as.character(cells$arm[compared])),
      visit = c(as.character(cells$visit), as.character(cells$visit[compared])),
      estimand = rep(c("ls_mean", "ls_mean_difference"), c(nrow(means), sum(compared))),
      estimate = as.numeric(contrasts %*% found$beta),
      std_error = sqrt(rowSums((contrasts %*% found$Phi) * contrasts)),
      df = apply(contrasts, 1, satterthwaite, entries, at, A)
    )
    fits[[paste(name, kind)]] <- data.frame(set = name, covariance = kind, log_likelihood = loglik)
    fitted_matrix <- form(entries)
    covariances[[paste(name, kind)]] <- data.frame(set = name, covariance = kind, row = as.vector(row(fitted_matrix)),
                                                   column = as.vector(col(fitted_matrix)), value = as.vector(fitted_matrix))
  }
}
save_csv(rows(lines), "repeated_means.csv")
save_csv(rows(fits), "repeated_fits.csv")
save_csv(rows(covariances), "repeated_covariances.csv")

# --- analysis of covariance ------------------------------------------------------------------------------------------

# emmeans of lm(); clustered: vcovCR(type = "CR2") and linear_contrast(test = "Satterthwaite") of clubSandwich.
adjusted <- function(data, weights, clustered) {
  fit <- lm(change ~ arm + site + base, data)
  grid <- emmeans(fit, ~ arm, weights = weights)
  means <- grid@linfct
  arms <- as.character(grid@grid$arm)
  contrasts <- rbind(means, means[-1, , drop = FALSE] - means[rep(1, nrow(means) - 1), , drop = FALSE])
  if (clustered) {
    V <- vcovCR(fit, cluster = data$subject, type = "CR2")
    tests <- linear_contrast(fit, vcov = V, contrasts = contrasts, test = "Satterthwaite")
    estimate <- tests$Est
    error <- tests$SE
    df <- tests$df
  } else {
    estimate <- as.numeric(contrasts %*% coef(fit))
    error <- sqrt(rowSums((contrasts %*% vcov(fit)) * contrasts))
    df <- df.residual(fit)
  }
  data.frame(weights = weights, clustered = clustered, arm = c(arms, arms[-1]),
             estimand = rep(c("ls_mean", "ls_mean_difference"), c(length(arms), length(arms) - 1)),
             estimate = estimate, std_error = error, df = df)
}
save_csv(rows(lapply(c("clinic", "trial", "small"), function(name) {
  rows(lapply(c("equal", "proportional"), function(weights) {
    rows(lapply(c(FALSE, TRUE), function(clustered) {
      cbind(set = name, adjusted(sets[[name]], weights, clustered))
    }))
  }))
})), "ancova.csv")
