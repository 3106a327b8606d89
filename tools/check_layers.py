"""Fails when a folder of src/ includes what tools/layers.txt does not allow.

A folder is the first part of a path below src/, or the first two below lab/
and attention/.
tools/layers.txt names what each may include: whole folders, or a
single header. The headers of LibTorch are for lab/ alone. Tests (*_test.cc) may include
anything. Usage: check_layers.py REPOSITORY
"""
import pathlib
import re
import sys

SOURCES = {".h", ".cc", ".cu", ".cuh"}
OURS = re.compile(r'\s*#\s*include\s+"([^"]+)"')
NESTED = {"attention", "lab"}
TORCH = re.compile(r"\s*#\s*include\s+<(torch|ATen|c10)/")


def folder_of(path):
    parts = path.split("/")
    depth = 2 if parts[0] in NESTED and len(parts) > 2 else 1
    return "/".join(parts[:depth])


def read_layers(path):
    """{folder: folders it may include}, and what is wrong with the list."""
    layers, errors = {}, []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        folder, _, below = line.partition(":")
        for name in below.split():
            if folder_of(name) not in layers if name.endswith(".h") else (
                    name not in layers):
                errors.append(f"{path}:{number}: '{folder}' stands above "
                              f"'{name}', which is not listed before it")
        layers[folder.strip()] = set(below.split())
    return layers, errors


def check_file(src, path, layers):
    relative = path.relative_to(src).as_posix()
    folder = folder_of(relative)
    if folder not in layers:
        return [f"{path}: folder '{folder}' is not in tools/layers.txt"]
    errors = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if TORCH.match(line) and not folder.startswith("lab"):
            errors.append(f"{path}:{number}: LibTorch is for lab/ alone")
        match = OURS.match(line)
        if not match or "/" not in match[1]:
            continue
        other = folder_of(match[1])
        # Other libraries' headers ("hwy/highway.h") are not our layers.
        if other not in layers and not (src / other).is_dir():
            continue
        allowed = layers[folder]
        if other != folder and not {other, match[1]} & allowed:
            errors.append(f"{path}:{number}: {folder} may not include {other}")
    return errors


def main(repository):
    root = pathlib.Path(repository)
    layers, errors = read_layers(root / "tools" / "layers.txt")
    checked = 0
    for path in sorted((root / "src").rglob("*")):
        if path.suffix in SOURCES and not path.stem.endswith("_test"):
            errors += check_file(root / "src", path, layers)
            checked += 1
    print("\n".join(errors) if errors else f"{checked} files keep their layers")
    return 1 if errors or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
