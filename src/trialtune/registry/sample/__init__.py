"""A sample registry of made-up studies: realistic words, known labels, nothing copied."""

from trialtune.registry.sample.files import write_sample
from trialtune.registry.sample.studies import SampleSettings, SampleStudy, generate_studies

__all__ = ["SampleSettings", "SampleStudy", "generate_studies", "write_sample"]
