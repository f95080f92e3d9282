"""One forward pass, recorded: activations, gradients and the place of every layer."""
