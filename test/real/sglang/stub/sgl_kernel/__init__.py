"""Stands in for sgl-kernel, SGLang's compiled kernels, of which no package registry has a build for CPUs.

SGLang imports hundreds of its names at start, also those that a CPU never calls: every name exists here, and calling one
says that it is missing. A dense model on a CPU then computes in torch, because SGLang falls back to torch where
torch.ops.sgl_kernel has no `convert_weight_packed` (sglang 0.5.23, srt/utils/common.py, _is_intel_amx_backend_available).
"""

import importlib.abc
import importlib.machinery
import sys
import types

__version__ = "0.4.10"


class MissingKernel:
    """A kernel, or a namespace of kernels, that can be named and passed around but not called."""

    def __init__(self, name):
        self.__name__ = self.__qualname__ = name

    def __repr__(self):
        return f"<missing kernel {self.__name__}>"

    def __getattr__(self, name):
        return kernel(self.__name__, name)

    def __call__(self, *args, **kwargs):
        raise NotImplementedError(f"{self.__name__} is a kernel that the stand-in for sgl_kernel does not have")


def kernel(owner, name):
    # Python asks modules for names such as __all__ or __file__; for these AttributeError is the right answer.
    if name.startswith("__"):
        raise AttributeError(f"{owner} has no {name}")
    return MissingKernel(f"{owner}.{name}")


class KernelModule(types.ModuleType):
    def __getattr__(self, name):
        return kernel(self.__name__, name)


class KernelFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes `import sgl_kernel.anything.below` work."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.startswith(f"{__name__}."):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec):
        return KernelModule(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.append(KernelFinder())
# An empty path, so that Python asks the finder above for submodules.
__path__ = []
sys.modules[__name__].__class__ = KernelModule
