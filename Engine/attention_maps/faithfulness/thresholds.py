"""Where verdicts change. Declared here alone; docs/trust.md says why.

No paper gives limits that hold for every network; these were set so that maps of trained and of
random networks, and maps that are known to fail, fall on different sides.
"""

# Rank correlation with the original from which on a map counts as unchanged by new random weights
# of the last block.
UNCHANGED = 0.9
# Rank correlation with the original from which on a map of an altogether random network counts as
# the same map: half of the order of its voxels or more is not learnt.
ALIKE = 0.5
# Least rank correlation of maps of slightly noisy inputs: stable from the first one on, unstable
# below the second.
STABLE, UNSTABLE = 0.7, 0.4
# Share of the score that integrated gradients may leave unexplained: complete up to the first one
# (Sundararajan et al., 2017, section 5), incomplete above the second.
COMPLETE, INCOMPLETE = 0.05, 0.2
# Median rank correlation from which on methods or layers agree.
AGREE = 0.5
# Least change of the score, as share of its size, that removing everything must bring about before
# curves mean anything.
LEAST_DROP = 0.01
