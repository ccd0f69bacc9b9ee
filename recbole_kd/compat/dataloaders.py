"""``save_dataloaders`` with knowledge-aware models, whose training loader consists of two (1966)."""

from typing import Any


class _Samplers:
    """The samplers of both loaders, whose generators are set together."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "generator":
            super().__setattr__(name, value)
            return
        for part in (self.loader.general_dataloader, self.loader.kg_dataloader):
            part.sampler.generator = part.generator


def mend_saved_loaders() -> None:
    """``save_split_dataloaders`` and ``load_split_dataloaders`` take ``generator``, ``sampler`` and ``config`` of each
    loader; a KnowledgeBasedDataLoader has none of them, and ended in an AttributeError.

    Both parts have a generator in the same state when the loaders are saved, so that one state serves for both.
    """
    from recbole.data.dataloader import KnowledgeBasedDataLoader

    if hasattr(KnowledgeBasedDataLoader, "generator"):
        return

    def set_generator(self: Any, generator: Any) -> None:
        self.general_dataloader.generator = generator
        self.kg_dataloader.generator = None if generator is None else _copy(generator)

    KnowledgeBasedDataLoader.generator = property(lambda self: self.general_dataloader.generator, set_generator)
    KnowledgeBasedDataLoader.sampler = property(_Samplers)
    KnowledgeBasedDataLoader.config = property(lambda self: self.general_dataloader.config)


def _copy(generator: Any) -> Any:
    import torch

    copy = torch.Generator()
    copy.set_state(generator.get_state())
    return copy
