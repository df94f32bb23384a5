"""A sample registry of made-up studies: realistic words, known labels, nothing copied."""

from trialtune.registry.sample.files import write_sample
from trialtune.registry.sample.studies import SampleStudy, generate_studies
from trialtune.registry.settings import SampleSettings

__all__ = ["SampleSettings", "SampleStudy", "generate_studies", "write_sample"]
