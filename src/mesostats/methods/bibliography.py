"""The works that a methods section cites, each once, and how the references of a result's ``spec`` are found among them."""

from __future__ import annotations

import re
from typing import Final

WORKS: Final = {
    "aalen1978": "Aalen OO, Johansen S. An empirical transition matrix for non-homogeneous Markov chains based on censored observations. Scand J Stat 1978;5:141-150.",
    "agresti1998": "Agresti A, Coull BA. Approximate is better than exact for interval estimation of binomial proportions. Am Stat 1998;52:119-126. doi:10.1080/00031305.1998.10480550",
    "allignol2010": "Allignol A, Schumacher M, Beyersmann J. A note on variance estimation of the Aalen-Johansen estimator of the cumulative incidence function in competing risks. Biom J 2010;52:126-137. doi:10.1002/bimj.200900039",
    "altman1998": "Altman DG. Confidence intervals for the number needed to treat. BMJ 1998;317:1309-1312. doi:10.1136/bmj.317.7168.1309",
    "anderson1983": "Anderson JR, Cain KC, Gelber RD. Analysis of survival by tumor response. J Clin Oncol 1983;1:710-719. doi:10.1200/JCO.1983.1.11.710",
    "armitage1955": "Armitage P. Tests for linear trends in proportions and frequencies. Biometrics 1955;11:375-386. doi:10.2307/3001775",
    "austin2009": "Austin PC. Balance diagnostics for comparing the distribution of baseline covariates between treatment groups in propensity-score matched samples. Stat Med 2009;28:3083-3107. doi:10.1002/sim.3697",
    "barnard1999": "Barnard J, Rubin DB. Small-sample degrees of freedom with multiple imputation. Biometrika 1999;86:948-955. doi:10.1093/biomet/86.4.948",
    "benjamini1995": "Benjamini Y, Hochberg Y. Controlling the false discovery rate: a practical and powerful approach to multiple testing. J R Stat Soc B 1995;57:289-300. doi:10.1111/j.2517-6161.1995.tb02031.x",
    "berry1995": "Berry G, Armitage P. Mid-P confidence intervals: a brief review. Statistician 1995;44:417-423. doi:10.2307/2348891",
    "bland1996": "Bland JM, Altman DG. Measurement error. BMJ 1996;313:744. doi:10.1136/bmj.313.7059.744",
    "boos1992": "Boos DD. On generalized score tests. Am Stat 1992;46:327-333. doi:10.1080/00031305.1992.10475921",
    "brookmeyer1982": "Brookmeyer R, Crowley J. A confidence interval for the median survival time. Biometrics 1982;38:29-41. doi:10.2307/2530286",
    "brown2001": "Brown LD, Cai TT, DasGupta A. Interval estimation for a binomial proportion. Stat Sci 2001;16:101-133. doi:10.1214/ss/1009213286",
    "brunner2000": "Brunner E, Munzel U. The nonparametric Behrens-Fisher problem: asymptotic theory and a small-sample approximation. Biom J 2000;42:17-25. doi:10.1002/(SICI)1521-4036(200001)42:1<17::AID-BIMJ17>3.0.CO;2-U",
    "cameron2015": "Cameron AC, Miller DL. A practitioner's guide to cluster-robust inference. J Hum Resour 2015;50:317-372. doi:10.3368/jhr.50.2.317",
    "chia2016": "Chia PL, Gedye C, Boutros PC, et al. Current and evolving methods to visualize biological data in cancer research. J Natl Cancer Inst 2016;108:djw031. doi:10.1093/jnci/djw031",
    "clopper1934": "Clopper CJ, Pearson ES. The use of confidence or fiducial limits illustrated in the case of the binomial. Biometrika 1934;26:404-413. doi:10.1093/biomet/26.4.404",
    "cochran1954": "Cochran WG. The combination of estimates from different experiments. Biometrics 1954;10:101-129. doi:10.2307/3001666",
    "cochran1977": "Cochran WG. Sampling Techniques, 3rd edition. New York: Wiley; 1977.",
    "cohen1994": "Cohen GR, Yang SY. Mid-P confidence intervals for the Poisson expectation. Stat Med 1994;13:2189-2203. doi:10.1002/sim.4780132102",
    "cook1996": "Cook RJ, Lawless JF, Nadeau C. Robust tests for treatment comparisons based on recurrent event responses. Biometrics 1996;52:557-571. doi:10.2307/2532900",
    "cutler1958": "Cutler SJ, Ederer F. Maximum utilization of the life table method in analyzing survival. J Chronic Dis 1958;8:699-712. doi:10.1016/0021-9681(58)90126-7",
    "davis1976": "Davis CE. The effect of regression to the mean in epidemiologic and clinical studies. Am J Epidemiol 1976;104:493-498. doi:10.1093/oxfordjournals.aje.a112321",
    "delong1988": "DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more correlated receiver operating characteristic curves: a nonparametric approach. Biometrics 1988;44:837-845. doi:10.2307/2531595",
    "e3": "International Council for Harmonisation. ICH E3: structure and content of clinical study reports. 1995.",
    "e9r1": "International Council for Harmonisation. ICH E9(R1): addendum on estimands and sensitivity analysis in clinical trials. 2019.",
    "fai1996": "Fai AHT, Cornelius PL. Approximate F-tests of multiple degree of freedom hypotheses in generalized least squares analyses of unbalanced split-plot experiments. J Stat Comput Simul 1996;54:363-378. doi:10.1080/00949659608811740",
    "fisher1935": "Fisher RA. The logic of inductive inference. J R Stat Soc 1935;98:39-82. doi:10.2307/2342435",
    "garwood1936": "Garwood F. Fiducial limits for the Poisson distribution. Biometrika 1936;28:437-442. doi:10.1093/biomet/28.3-4.437",
    "gray1988": "Gray RJ. A class of K-sample tests for comparing the cumulative incidence of a competing risk. Ann Stat 1988;16:1141-1154. doi:10.1214/aos/1176350951",
    "greenland1985": "Greenland S, Robins JM. Estimation of a common effect parameter from sparse follow-up data. Biometrics 1985;41:55-68. doi:10.2307/2530643",
    "holm1979": "Holm S. A simple sequentially rejective multiple test procedure. Scand J Stat 1979;6:65-70.",
    "imbens2004": "Imbens GW, Manski CF. Confidence intervals for partially identified parameters. Econometrica 2004;72:1845-1857. doi:10.1111/j.1468-0262.2004.00555.x",
    "kaplan1958": "Kaplan EL, Meier P. Nonparametric estimation from incomplete observations. J Am Stat Assoc 1958;53:457-481. doi:10.1080/01621459.1958.10501452",
    "kenward1997": "Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum likelihood. Biometrics 1997;53:983-997. doi:10.2307/2533558",
    "koopman1984": "Koopman PAR. Confidence intervals for the ratio of two binomial proportions. Biometrics 1984;40:513-517. doi:10.2307/2531405",
    "korn1998": "Korn EL, Graubard BI. Confidence intervals for proportions with small expected number of positive counts estimated from survey data. Surv Methodol 1998;24:193-201.",
    "lawless1987": "Lawless JF. Negative binomial and mixed Poisson regression. Can J Stat 1987;15:209-225. doi:10.2307/3314912",
    "lawless1995": "Lawless JF, Nadeau C. Some simple robust methods for the analysis of recurrent events. Technometrics 1995;37:158-168. doi:10.1080/00401706.1995.10484300",
    "liang1986": "Liang KY, Zeger SL. Longitudinal data analysis using generalized linear models. Biometrika 1986;73:13-22. doi:10.1093/biomet/73.1.13",
    "lott2020": "Lott A, Reiter JP. Wilson confidence intervals for binomial proportions with multiple imputation for missing data. Am Stat 2020;74:109-115. doi:10.1080/00031305.2018.1473796",
    "lunceford2004": "Lunceford JK, Davidian M. Stratification and weighting via the propensity score in estimation of causal treatment effects: a comparative study. Stat Med 2004;23:2937-2960. doi:10.1002/sim.1903",
    "mallinckrodt2001": "Mallinckrodt CH, Clark WS, David SR. Accounting for dropout bias using mixed-effects models. J Biopharm Stat 2001;11:9-21. doi:10.1081/BIP-100104194",
    "mancl2001": "Mancl LA, DeRouen TA. A covariance estimator for GEE with improved small-sample properties. Biometrics 2001;57:126-134. doi:10.1111/j.0006-341X.2001.00126.x",
    "mantel1959": "Mantel N, Haenszel W. Statistical aspects of the analysis of data from retrospective studies of disease. J Natl Cancer Inst 1959;22:719-748. doi:10.1093/jnci/22.4.719",
    "mantel1966": "Mantel N. Evaluation of survival data and two new rank order statistics arising in its consideration. Cancer Chemother Rep 1966;50:163-170.",
    "mccullagh1980": "McCullagh P. Regression models for ordinal data. J R Stat Soc B 1980;42:109-142. doi:10.1111/j.2517-6161.1980.tb01109.x",
    "mcnemar1947": "McNemar Q. Note on the sampling error of the difference between correlated proportions or percentages. Psychometrika 1947;12:153-157. doi:10.1007/BF02295996",
    "mee1991": "Mee RW, Chua TC. Regression toward the mean and the paired sample t test. Am Stat 1991;45:39-42. doi:10.1080/00031305.1991.10475763",
    "miettinen1985": "Miettinen O, Nurminen M. Comparative analysis of two rates. Stat Med 1985;4:213-226. doi:10.1002/sim.4780040211",
    "newcombe1998": "Newcombe RG. Interval estimation for the difference between independent proportions: comparison of eleven methods. Stat Med 1998;17:873-890. doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
    "newcombe1998paired": "Newcombe RG. Improved confidence intervals for the difference between binomial proportions based on paired data. Stat Med 1998;17:2635-2650. doi:10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C",
    "newcombe2006": "Newcombe RG. Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2: asymptotic methods and evaluation. Stat Med 2006;25:559-573. doi:10.1002/sim.2324",
    "obuchowski1997": "Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics 1997;53:567-578. doi:10.2307/2533958",
    "pagano1983": "Pagano M, Tritchler D. On obtaining permutation distributions in polynomial time. J Am Stat Assoc 1983;78:435-440. doi:10.1080/01621459.1983.10477990",
    "peterson1990": "Peterson B, Harrell FE. Partial proportional odds models for ordinal response variables. J R Stat Soc C 1990;39:205-217. doi:10.2307/2347760",
    "pocock2002": "Pocock SJ, Clayton TC, Altman DG. Survival plots of time-to-event outcomes in clinical trials: good practice and pitfalls. Lancet 2002;359:1686-1689. doi:10.1016/S0140-6736(02)08594-X",
    "prentice1978": "Prentice RL, Gloeckler LA. Regression analysis of grouped survival data with application to breast cancer data. Biometrics 1978;34:57-67. doi:10.2307/2529588",
    "przyborowski1940": "Przyborowski J, Wilenski H. Homogeneity of results in testing samples from Poisson series. Biometrika 1940;31:313-323. doi:10.1093/biomet/31.3-4.313",
    "pustejovsky2018": "Pustejovsky JE, Tipton E. Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed effects models. J Bus Econ Stat 2018;36:672-683. doi:10.1080/07350015.2016.1247004",
    "robins1986": "Robins J, Breslow N, Greenland S. Estimators of the Mantel-Haenszel variance consistent in both sparse data and large-strata limiting models. Biometrics 1986;42:311-323. doi:10.2307/2531052",
    "robins1995": "Robins JM, Rotnitzky A, Zhao LP. Analysis of semiparametric regression models for repeated outcomes in the presence of missing data. J Am Stat Assoc 1995;90:106-121. doi:10.1080/01621459.1995.10476493",
    "royston2013": "Royston P, Parmar MKB. Restricted mean survival time: an alternative to the hazard ratio for the design and analysis of randomized trials with a time-to-event outcome. BMC Med Res Methodol 2013;13:152. doi:10.1186/1471-2288-13-152",
    "rubin1987": "Rubin DB. Multiple Imputation for Nonresponse in Surveys. New York: Wiley; 1987. doi:10.1002/9780470316696",
    "rufibach2023": "Rufibach K, Stegherr R, Schmoor C, et al. Comparison of adverse event risks in randomized controlled trials with varying follow-up times and competing events: results from an empirical study. Stat Biopharm Res 2023;15:767-780. doi:10.1080/19466315.2022.2144944",
    "sato1989": "Sato T, Greenland S, Robins JM. On the variance estimator for the Mantel-Haenszel risk difference. Biometrics 1989;45:1323-1324. doi:10.2307/2531784",
    "schulz2010": "Schulz KF, Altman DG, Moher D. CONSORT 2010 statement: updated guidelines for reporting parallel group randomised trials. BMJ 2010;340:c332. doi:10.1136/bmj.c332",
    "seaman2013": "Seaman SR, White IR. Review of inverse probability weighting for dealing with missing data. Stat Methods Med Res 2013;22:278-295. doi:10.1177/0962280210395740",
    "spiegelhalter2005": "Spiegelhalter DJ. Funnel plots for comparing institutional performance. Stat Med 2005;24:1185-1202. doi:10.1002/sim.1970",
    "stegherr2021": "Stegherr R, Schmoor C, Beyersmann J, et al. Survival analysis for AdVerse events with VarYing follow-up times (SAVVY): estimation of adverse event risks. Trials 2021;22:420. doi:10.1186/s13063-021-05354-x",
    "stukel1994": "Stukel TA, Glynn RJ, Fisher ES, Sharp SM, Lu-Yao G, Wennberg JE. Standardized rates of recurrent outcomes. Stat Med 1994;13:1781-1791. doi:10.1002/sim.4780131709",
    "suissa2008": "Suissa S. Immortal time bias in pharmaco-epidemiology. Am J Epidemiol 2008;167:492-499. doi:10.1093/aje/kwm324",
    "tarone1985": "Tarone RE. On heterogeneity tests based on efficient scores. Biometrika 1985;72:91-95. doi:10.1093/biomet/72.1.91",
    "turnbull1976": "Turnbull BW. The empirical distribution function with arbitrarily grouped, censored and truncated data. J R Stat Soc B 1976;38:290-295. doi:10.1111/j.2517-6161.1976.tb01597.x",
    "vanelteren1960": "van Elteren PH. On the combination of independent two-sample tests of Wilcoxon. Bull Int Stat Inst 1960;37:351-361.",
    "vickers2001": "Vickers AJ, Altman DG. Analysing controlled trials with baseline and follow up measurements. BMJ 2001;323:1123-1124. doi:10.1136/bmj.323.7321.1123",
    "wang2007": "Wang R, Lagakos SW, Ware JH, Hunter DJ, Drazen JM. Statistics in medicine: reporting of subgroup analyses in clinical trials. N Engl J Med 2007;357:2189-2194. doi:10.1056/NEJMsr077003",
    "williams1995": "Williams RL. Product-limit survival functions with correlated survival times. Lifetime Data Anal 1995;1:171-186. doi:10.1007/BF00985768",
    "wilson1927": "Wilson EB. Probable inference, the law of succession, and statistical inference. J Am Stat Assoc 1927;22:209-212. doi:10.1080/01621459.1927.10502953",
    "woodruff1952": "Woodruff RS. Confidence intervals for medians and other position measures. J Am Stat Assoc 1952;47:635-646. doi:10.1080/01621459.1952.10483443",
    "yan2009": "Yan X, Lee S, Li N. Missing data handling methods in medical device clinical trials. J Biopharm Stat 2009;19:1085-1098. doi:10.1080/10543400903243009",
    "yang2012": "Yang D, Dalton JE. A unified approach to measuring the effect size between two groups using SAS. SAS Global Forum 2012, paper 335.",
    "zou2008": "Zou GY, Donner A. Construction of confidence limits about effect measures: a general approach. Stat Med 2008;27:1693-1702. doi:10.1002/sim.3095",
}
"""Key → the work as a reference list gives it."""

_DOI: Final = re.compile(r"doi:(\S+)")
_AUTHOR: Final = re.compile(r"^(?:(?P<guideline>ICH \S+?)[ ,]|(?P<author>[^\d,.]+?) [A-Z]{1,3}[,.])")
_YEAR: Final = re.compile(r"\b(?:19|20)\d\d\b")


def key_of(reference: str) -> str | None:
    """Return the key of the work that a result's ``spec`` refers to: by its DOI, else by its first author and year.

    Examples
    --------
    >>> key_of("Mantel N. Cancer Chemother Rep 1966;50:163-170."), key_of("ICH E3 (1995), section 12.2.")
    ('mantel1966', 'e3')
    >>> key_of("Somebody X. A journal 2024;1:1.") is None
    True
    """
    doi = _DOI.search(reference)
    if doi:
        return next((key for key, work in WORKS.items() if work.endswith(doi[0])), None)
    author, year = _AUTHOR.match(reference), _YEAR.search(reference)
    if author is None or year is None:
        return None
    name = author["guideline"] or f"{author['author']} "
    return next((key for key, work in WORKS.items() if name in work[:60] and year[0] in work), None)
