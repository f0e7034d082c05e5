"""The sections of CONFIG.yaml, one module each; `mhff.train.settings` is the whole."""
