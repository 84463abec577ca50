"""The objects that `feast apply` finds: it imports this file alone and takes its module-level names.

How to run it is said in `feature_store.yaml`.
"""

from configs.settings import load_settings
from feature_repo.views import definitions

_defined = definitions(load_settings())

asset_type = _defined.asset_type
symbol = _defined.symbol
walk_forward_features = _defined.features
walk_forward_labels = _defined.labels
rsi_volume_interaction, macd_atr_interaction, adx_trend_interaction = _defined.interactions
default, reference, validated_16 = _defined.services
