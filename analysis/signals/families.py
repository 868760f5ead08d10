"""Which families of metrics the typed checks read."""

from collections.abc import Mapping

from analysis.checks import OutlierRate, PredictionDrift, Reward, ShadowAgreement

FAMILIES: Mapping[str, tuple[str, str]] = {
    "seldon_prediction_class_total": ("class", "class"),
    "seldon_prediction_score_bucket": ("score", "le"),
    "seldon_prediction_outlier_total": ("outlier", ""),
    "seldon_prediction_row_total": ("row", ""),
    "seldon_api_model_feedback_total": ("feedback", ""),
    "seldon_api_model_feedback_reward_total": ("reward", ""),
    "seldon_shadow_compare_total": ("compare", "pair"),
}
"""What is called how in a signal, and which label tells its kinds apart."""
NEEDED: Mapping[type, tuple[str, ...]] = {
    PredictionDrift: ("seldon_prediction_class_total", "seldon_prediction_score_bucket"),
    OutlierRate: ("seldon_prediction_outlier_total", "seldon_prediction_row_total"),
    Reward: ("seldon_api_model_feedback_total", "seldon_api_model_feedback_reward_total"),
    ShadowAgreement: ("seldon_shadow_compare_total",),
}
"""By check; the traffic split is read from what counts requests."""
