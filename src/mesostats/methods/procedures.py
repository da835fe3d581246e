"""What an estimate's ``method`` says, in sentences for a paper, each with the work that it rests on.

A method is a text of several parts ("Wilson score interval; observed cases only"). Each part that is found here is taken out of it
and said as a sentence; ``[@key]`` cites a work of the bibliography. What is left over is quoted as it stands.
"""

from __future__ import annotations

import re
from typing import Final

_CLUSTERS: Final = "with Student's t quantiles for the number of patients"
_SENTENCES: Final = {
    # Missing outcomes.
    r"missing as (no longer responding|non-response) \((ICH E9\(R1\)[^;]*?)(?:; the lower bound)?\)": r"A missing outcome counted as \1 (\2 [@e9r1]).",
    r"missing as still responding \(the upper bound\)": "As the upper bound, a missing outcome counted as still responding.",
    r"completed and observed cases only": "Among completers, only courses with an observed outcome were analysed.",
    r"observed cases only": "Among the evaluable, and for measurements, only observed outcomes were analysed; none was filled in.",
    r"responders at the end of the course that were assessed in the window": "",
    r"; missing at random": "The model supposes that measurements were missing at random.",
    # Weighted and imputed shares.
    r"inverse probability of observation weights from a logistic model, stabilised; cluster-robust variance of the stacked estimating equations; Wilson score interval at the effective sample size, at most that of the weights, t quantile": "Assessed courses were weighted by the stabilised inverse probability of being assessed, from a logistic model, with a variance from the stacked estimating equations [@robins1995; @seaman2013] and Wilson score intervals [@wilson1927] at the effective sample size.",
    r"multiple imputation \((\d+)\) from a (Bayesian linear model of the measurement|logistic model of the outcome); Rubin's rules on the probability scale, Barnard-Rubin df; Wilson score interval at the effective sample size \(Lott and Reiter\), t quantile": r"Missing outcomes were imputed \1 times from a \2 and combined by Rubin's rules [@rubin1987] with the degrees of freedom of Barnard and Rubin [@barnard1999] and Wilson score intervals for imputed data [@lott2020].",
    r"Imbens-Manski interval from Wilson score limits": "The range between the bounds was given the interval of Imbens and Manski [@imbens2004] from Wilson score limits [@wilson1927].",
    # One proportion.
    r"standardized to the strata of the cases; Wilson score interval at the effective sample size, t quantile": f"Shares of the comparison sessions were standardized to the strata of the cases, with Wilson score intervals [@wilson1927] at the effective sample size, {_CLUSTERS} [@korn1998].",
    r"Wilson score interval at the effective sample size, t quantile": f"Where a patient contributed several observations, proportions were given Wilson score intervals [@wilson1927] at the effective sample size (the number of observations over the design effect), {_CLUSTERS} [@korn1998].",
    r"Wilson score interval; life-table retention, Greenwood log-log interval": "Shares of an interval were given Wilson score intervals [@wilson1927]; retention was estimated by the life table [@cutler1958] with log-log intervals from Greenwood's variance.",
    r"Wilson score interval, score test of (\S+)": r"Shares were given Wilson score intervals [@wilson1927] and score tests against \1.",
    r"Wilson score interval, one observation a cluster": "Where each patient contributed one observation, proportions were given Wilson score intervals [@wilson1927].",
    r"Wilson score interval": "Proportions of independent observations were given Wilson score intervals [@wilson1927].",
    r"Clopper-Pearson exact interval": "Proportions of independent observations were given exact Clopper-Pearson intervals [@clopper1934].",
    r"Jeffreys interval with the boundary rule": "Proportions of independent observations were given Jeffreys intervals with the rule for 0 and all [@brown2001].",
    r"Agresti-Coull interval": "Proportions of independent observations were given Agresti-Coull intervals [@agresti1998].",
    # Rates.
    r"1 - exp\(-rate x day\), Garwood exact Poisson interval": "The transformed rate was given the transformed exact interval of Garwood [@garwood1936].",
    r"Garwood interval at the effective number of events, t quantile(?!.*mean cumulative)": f"Rates of events that repeat within patients were given Garwood intervals [@garwood1936] at the effective number of events [@stukel1994], {_CLUSTERS}.",
    r"Garwood exact Poisson interval": "Rates of events that count once a patient were given exact Poisson intervals (Garwood) [@garwood1936].",
    r"mid-p Poisson interval": "Rates were given mid-p Poisson intervals [@cohen1994].",
    # Two groups.
    r"reciprocal of the difference and of its limits: (?=.)": "Numbers needed to treat are the reciprocals of the difference and of its limits [@altman1998].",
    r"MOVER of two Wilson score intervals at the effective sample sizes, t quantiles": "Ratios of risks with several observations a patient were given intervals recovered from the two Wilson intervals at the effective sample sizes [@zou2008].",
    r"MOVER of two Garwood intervals at the effective numbers of events, t quantiles": "Ratios and differences of rates of repeated events were given intervals recovered from the two Garwood intervals at the effective numbers of events [@zou2008].",
    r"difference of clustered Wilson intervals \(MOVER\) with the linearised correlation; t, df = clusters - 1": "Differences of crude risks were given intervals recovered from the two clustered Wilson intervals and their correlation [@zou2008].",
    r"Newcombe hybrid score interval at the effective sample sizes, t quantiles": "Differences of risks with several observations a patient were given Newcombe's hybrid score intervals [@newcombe1998] at the effective sample sizes.",
    r"Newcombe hybrid score interval, Miettinen-Nurminen score test": "Differences of risks were given Newcombe's hybrid score intervals [@newcombe1998] and the score test of Miettinen and Nurminen [@miettinen1985].",
    r"Miettinen-Nurminen score interval and test, Mantel-Haenszel weights": "Stratified differences of risks were given the score intervals and tests of Miettinen and Nurminen [@miettinen1985] with Mantel-Haenszel weights.",
    r"Miettinen-Nurminen score interval and test for rates": "Differences of rates were given the score intervals and tests of Miettinen and Nurminen [@miettinen1985].",
    r"Miettinen-Nurminen score interval and test": "Differences of risks were given the score intervals and tests of Miettinen and Nurminen [@miettinen1985].",
    r"score test that the difference is the same in all levels, Miettinen-Nurminen variances": "That the difference is the same in all levels was tested by Cochran's test of heterogeneity [@cochran1954] with the variances of Miettinen and Nurminen [@miettinen1985].",
    r"Koopman score interval, Pearson chi-squared test": "Ratios of risks were given Koopman's score intervals [@koopman1984] and Pearson's chi-squared test.",
    r"conditional maximum likelihood, exact conditional interval, Fisher's exact test": "Odds ratios were estimated by conditional maximum likelihood, with exact intervals and Fisher's exact test [@fisher1935].",
    r"exact conditional interval and binomial test": "Ratios of rates were given exact conditional intervals and tests [@przyborowski1940].",
    r"conditional mid-p interval and test": "Ratios of rates were given conditional mid-p intervals and tests [@berry1995].",
    r"negative binomial regression, variance x N/\(N - groups\), t quantile": "Ratios of rates of repeated events were estimated by negative binomial regression [@lawless1987].",
    r"Poisson regression, robust \(sandwich\) variance, t quantile": "Where the negative binomial model had no solution, Poisson regression with a robust variance was used [@lawless1987].",
    # Strata.
    r"Mantel-Haenszel, cluster-robust variance of the within-strata regression; t, df = clusters - 1": f"Stratified differences of risks were given Mantel-Haenszel weights [@mantel1959] and a variance that is robust to clustering in patients [@cameron2015], {_CLUSTERS}.",
    r"Mantel-Haenszel, Sato variance": "Stratified differences of risks were given Mantel-Haenszel weights [@mantel1959] and Sato's variance [@sato1989].",
    r"Mantel-Haenszel, Greenland-Robins variance": "Stratified ratios of risks are those of Mantel and Haenszel [@mantel1959] with the variance of Greenland and Robins [@greenland1985].",
    r"Cochran-Mantel-Haenszel test(, continuity-corrected)?": r"Association across strata was tested by the Cochran-Mantel-Haenszel test [@mantel1959].",
    r"Mantel-Haenszel odds ratio, Robins-Breslow-Greenland variance": "Stratified odds ratios are those of Mantel and Haenszel [@mantel1959] with the variance of Robins, Breslow and Greenland [@robins1986].",
    r"Breslow-Day test (?:that all strata have one odds ratio|that the odds ratio is the same in all levels|with Tarone's correction)(?:, Tarone's correction)?": "That the odds ratio is the same in all strata or levels was tested by the Breslow-Day test with Tarone's correction [@tarone1985].",
    # Adjusted.
    r"GEE logistic(?:, [^;]*?)?[,;] Mancl-DeRouen covariance; standardized over the sample with its covariates as fixed, delta method; t, df = clusters - coefficients": "Adjusted risks are those of a logistic model fitted by generalized estimating equations [@liang1986] with the bias-reduced covariance of Mancl and DeRouen [@mancl2001], standardized over the sample.",
    r"stabilised inverse probability weights from a logistic propensity model; cluster-robust variance of the stacked estimating equations; t, df = clusters - coefficients": "Adjusted risks were weighted by stabilised inverse probabilities of exposure from a logistic propensity model, with a cluster-robust variance of the stacked estimating equations [@lunceford2004].",
    r"Wald F test; ?": "Covariates of several levels were tested by Wald's F test.",
    r"discrete-time hazard model, complementary log-log": "Hazard ratios are those of a discrete-time (grouped) proportional hazards model with a complementary log-log link [@prentice1978].",
    r"discrete-time hazard model, logistic": "Odds ratios of dropout are those of a discrete-time hazard model with a logit link [@prentice1978].",
    r"; Mancl-DeRouen covariance; t, df = clusters - coefficients": f"The covariance of the hazard model is the bias-reduced, patient-clustered one of Mancl and DeRouen [@mancl2001], {_CLUSTERS}.",
    r"; cluster-robust covariance, k/\(k - 1\)·\(n - 1\)/\(n - p\); t, df = clusters - coefficients": f"The covariance of the hazard model is robust to clustering in patients [@cameron2015], {_CLUSTERS}.",
    r"; delta method on the log\(-log\) scale": "Predicted curves were given intervals by the delta method on the complementary log-log scale.",
    # Times.
    r"Brookmeyer-Crowley, (?=.)": "Medians were read off the curves, with the intervals of Brookmeyer and Crowley [@brookmeyer1982].",
    r"(?:1 - )?Kaplan-Meier, Greenwood log-log interval": "Curves of independent times were estimated by the Kaplan-Meier method with log-log intervals from Greenwood's variance [@kaplan1958].",
    r"(?:1 - )?Kaplan-Meier, standard error by clusters \(infinitesimal jackknife, k/\(k - 1\)\), log-log interval, t quantile": "Where a patient contributed several times, Kaplan-Meier curves [@kaplan1958] were given log-log intervals with a variance between patients [@williams1995].",
    r"restricted mean, area under Kaplan-Meier, t interval": "Restricted means are areas under the Kaplan-Meier curve [@royston2013].",
    r"(stratified )?log-rank test": r"Curves were compared by the \1log-rank test [@mantel1966].",
    r"(?:1 - )?nonparametric maximum likelihood for interval-censored times \(Turnbull\), (observed-information|patient-clustered sandwich) logit interval( or, where wider, bootstrap percentiles)?": "Times known only to lie between two assessments were analysed by nonparametric maximum likelihood (Turnbull) [@turnbull1976], with intervals on the logit scale, or those of the bootstrap where wider.",
    r"Aalen-Johansen, Greenwood-type variance \(= infinitesimal jackknife\), log-log interval of the incidence": "Cumulative incidences under competing risks were estimated by the Aalen-Johansen method [@aalen1978] with a Greenwood-type variance [@allignol2010] and log-log intervals.",
    r"constant rates of event and competing ends, delta method, log-log interval": "The risk from constant rates of the event and of its competitors was given an interval by the delta method.",
    r"(stratified )?Gray's test": r"Cumulative incidences were compared by \1Gray's test [@gray1988].",
    r"Nelson-Aalen mean cumulative function, Lawless-Nadeau variance x n/\(n - 1\), Garwood interval at the effective number of events, t quantile": "Mean numbers of events were estimated by the mean cumulative function with the robust variance of Lawless and Nadeau [@lawless1995].",
    r"robust score test of mean functions": "Mean functions were compared by the robust score test [@cook1996].",
    r"difference of two estimates": "Each choice was compared with the base case by the plain difference of the two estimates.",
    # Measurements and grades.
    r"ANCOVA, independent errors, t": "Changes were compared by analysis of covariance with the baseline as covariate [@vickers2001].",
    r"ANCOVA, CR2 clustered covariance, Satterthwaite t": "Where a patient contributed several courses, the analysis of covariance [@vickers2001] was given a clustered covariance (CR2) with Satterthwaite's degrees of freedom [@pustejovsky2018].",
    r"mixed model for repeated measures, ([\w ]+), REML, Satterthwaite t": r"Changes at all visits were analysed together by a mixed model for repeated measures [@mallinckrodt2001] with \1, restricted maximum likelihood and Satterthwaite's degrees of freedom [@fai1996].",
    r"mixed model for repeated measures, ([\w ]+), REML, Kenward-Roger t": r"Changes at all visits were analysed together by a mixed model for repeated measures [@mallinckrodt2001] with \1, restricted maximum likelihood and the small-sample method of Kenward and Roger [@kenward1997].",
    r"mean per course, t interval from the variance between patients": "Means a course were given t intervals from the variance between patients [@cochran1977].",
    r"mean, clustered in patients, t": "Where a patient contributed several courses, means were given t intervals from the variance between patients [@cochran1977].",
    r"mean, t": "Means were given t intervals.",
    r"\(1 - reliability\)·\(population's mean - baseline\), averaged": "The change expected from regression to the mean was computed from the reliability and the mean of the population [@davis1976].",
    r"Mee-Chua regression[^;]*": "The effect beyond regression to the mean was estimated by the regression of Mee and Chua [@mee1991].",
    r"Cochran-Armitage test for trend; least-squares slope, jackknife t interval$": "Trend was tested by the Cochran-Armitage test [@armitage1955], and its slope given a jackknife interval.",
    r"Cochran-Armitage test for trend, patient-clustered score; least-squares slope, jackknife t interval by patients": "Where a patient contributed several courses, trend was tested by a Cochran-Armitage test [@armitage1955] with a score clustered in patients [@boos1992], and its slope given a jackknife interval by patients.",
    r"proportional odds model, maximum likelihood(; observed information, Wald interval on the log scale)?(; cluster-robust covariance, Wald interval on the log scale; t, df = clusters - parameters)?": "Grades were compared by a proportional odds model [@mccullagh1980].",
    r"score test of one odds ratio at every cut": "Proportionality of the odds was tested by a score test [@peterson1990].",
    r"Mann-Whitney probability; variance [^;]*(?:; t, Brunner-Munzel df)?": "The probability that a course of one group did better than one of the other was given an interval on the logit scale [@delong1988; @newcombe2006; @brunner2000].",
    r"Mann-Whitney probability; placements summed over clusters, interval on the logit scale; t, df = clusters - 1": "The probability that a course of one group did better than one of the other was given an interval on the logit scale, from placements summed over patients [@obuchowski1997].",
    r"(?:Wilcoxon|van Elteren)[^,;]*(?:test)?, permutation variance with ties, normal reference": "Grades were also compared by Wilcoxon's rank-sum test, across strata in the form of van Elteren [@vanelteren1960].",
    r"paired difference, Newcombe's square-and-add of Wilson limits; exact McNemar test": "Paired shares were compared by their difference with Newcombe's interval [@newcombe1998paired] and the exact test of McNemar [@mcnemar1947].",
    r"paired difference, mean of differences with patient-clustered variance, t interval and test": "Where a patient contributed several courses, paired shares were compared by the mean difference with a variance clustered in patients.",
    r"inverse of the distribution function, Woodruff interval clustered in patients, t quantile": "Quantiles were given Woodruff's intervals [@woodruff1952], clustered in patients.",
    # Balance, signals, counts.
    r"difference of means over the root mean square of both standard deviations": "Standardized differences of means are in units of the root mean square of both standard deviations [@austin2009].",
    r"Mahalanobis distance of the shares of all levels but one \(Yang and Dalton\)": "Standardized differences of categories are Mahalanobis distances of their shares [@yang2012].",
    r"exact binomial test against the overall proportion": "Each unit was held against the overall proportion by an exact binomial test, with the limits of a funnel plot [@spiegelhalter2005].",
    r", design effect [\d.]+": "Tests and limits of units allow for the design effect of several sessions of a patient.",
    r", over-dispersion [\d.]+ \(Spiegelhalter\)": "Tests and limits of units allow for over-dispersion between the units [@spiegelhalter2005].",
    r"control limits of the funnel at the unit's size": "",
    r"(?:exact )?stratified permutation test, one-sided for more events(, normal approximation for large counts)?": "Units were compared with the others of their strata by an exact permutation test for more events, one-sided, with a normal approximation for large counts [@pagano1983].",
    r"count; the estimate is its share of the courses started": "Numbers were counted; shares are of the courses started.",
    r"^(?:count|share|days from the first session)$": "",
}
# The longest first: the text of one part may stand within that of another.
_TABLE: Final = tuple(
    (re.compile(pattern), _SENTENCES[pattern]) for pattern in sorted(_SENTENCES, key=len, reverse=True)
)
_EMPTY: Final = re.compile(r"[\s;,:-]*")


def sentences_of(method: str) -> list[str]:
    """Return what a method says, a sentence each part.

    Parameters
    ----------
    method
        As it stands in the estimates.

    Returns
    -------
    list of str
        Sentences with citations as ``[@key]``. What no sentence is known for is quoted in the last one.

    Examples
    --------
    >>> sentences_of("log-rank test")
    ['Curves were compared by the log-rank test [@mantel1966].']
    >>> sentences_of("log-rank test; by moonlight")[-1]
    'The method was: by moonlight.'
    """
    found: list[tuple[int, str]] = []
    left = method
    for pattern, sentence in _TABLE:
        match = pattern.search(left)
        if match is not None:
            found.append((match.start(), match.expand(sentence)))
            left = left[: match.start()] + "\0" * (match.end() - match.start()) + left[match.end() :]
    said = [sentence for _, sentence in sorted(found, key=lambda each: each[0]) if sentence]
    return [*said, *unknown(left)]


def unknown(left: str) -> list[str]:
    """Quote what is left of a method, without the parts that were said."""
    parts = [part.strip(" ;,:-") for part in left.split("\0")]
    return [_quoted(part) for part in parts if not _EMPTY.fullmatch(part)]


def _quoted(part: str) -> str:
    """Return what no sentence is known for; a strategy for missing outcomes tells itself."""
    return f"Of the outcomes: {part} [@e9r1]." if "ICH E9(R1)" in part else f"The method was: {part}."
