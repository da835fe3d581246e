"""What readers see for estimands whose codes do not say enough."""

from __future__ import annotations

from typing import Final

NAMES: Final = {
    "cumulative_incidence": "Had a side effect",
    "cumulative_incidence_completed": "Completed without one",
    "cumulative_incidence_dropped_out": "Dropped out without one",
    "event_free": "Free of the event",
    "unresolved": "Not over yet",
    "mean_cumulative_events": "Side effects a patient",
    "onset_share": "Share of side effects",
    "one_minus_kaplan_meier": "1 - Kaplan-Meier",
    "aalen_johansen": "Aalen-Johansen",
    "rate_transform": "Rate transform",
    "rate_transform_competing": "Rate transform, competing ends",
    "gray_test": "Gray's test",
    "wald_test": "Wald test",
    "logrank_test": "Log-rank test",
    "mean_function_test": "Robust score test",
    "ls_mean_change": "LS mean change",
    "ls_mean_difference": "Difference of LS means",
    "response_observed": "Assessed courses only",
    "response_nonresponder": "Missing as non-response",
    "response_lowest": "All missing fail",
    "response_highest": "All missing respond",
    "response_bounds": "Nothing supposed",
    "response_ipw": "Inverse probability weights",
    "response_imputed": "Multiple imputation",
}
NAMES_OF_ANALYSES: Final = {
    "dropout_reasons": {
        "cumulative_incidence": "Given up for the reason",
        "cumulative_incidence_completed": "Completed",
    },
    "before_stopping": {"both": "Both", "neither": "Neither of the two"},
    "time_to_response": {
        "responded": "Responded",
        "responded_as_seen": "Responded, as seen (late)",
        "responded_before_dropout": "Responded before dropout",
        "dropped_out_before_response": "Dropped out without response",
    },
    "durability": {
        "assessed_later": "Assessed later",
        "still_responding": "Still responding",
        "kept_response": "Kept the response",
    },
    "change_beyond_error": {
        "better_beyond_error": "Better",
        "within_error": "Within the error",
        "worse_beyond_error": "Worse",
    },
}
"""Where an estimand of one analysis is called otherwise than elsewhere."""

MISSING_OF_ANALYSES: Final = {
    "retention": "courses of which nothing is settled yet, or that never attended",
    "dropout_by_session": "courses that came so far and whose next session is not settled",
    "hazard_by_phase": "courses that wait for a session of the phase",
    "return_for_repeat": "completed courses without an attended session",
    "response": "courses due that could not be evaluated",
}
"""What the missing of an analysis are."""
