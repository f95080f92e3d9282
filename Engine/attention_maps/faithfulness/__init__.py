"""Can a map be trusted? One small function per test; importing this package registers them."""

# isort: off
# In the order in which they run.
from attention_maps.faithfulness import removal
from attention_maps.faithfulness import randomization
from attention_maps.faithfulness import sensitivity
from attention_maps.faithfulness import completeness
from attention_maps.faithfulness import agreement
# isort: on

__all__ = ["agreement", "completeness", "randomization", "removal", "sensitivity"]
