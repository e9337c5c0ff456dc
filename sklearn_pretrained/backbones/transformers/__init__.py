"""Networks of transformers, over texts and over images → backbones."""
