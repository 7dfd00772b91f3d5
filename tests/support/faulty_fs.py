#!/usr/bin/python3
"""A filesystem that shows a folder as it is, but fails as a control file says.

    faulty_fs.py FOLDER CONTROL MOUNTPOINT

The control file holds one word: `list` (a listing fails after half of it), `read` (a read fails after half
of the file), `slow` (a read takes ten seconds), or nothing. For tests; needs Debian's python3-fusepy.
"""

import errno
import os
import sys
import time

import fusepy


class Faulty(fusepy.Operations):
    def __init__(self, folder, control):
        self.folder, self.control = folder, control

    def path(self, path):
        return os.path.join(self.folder, path.lstrip("/"))

    def fault(self):
        with open(self.control) as control:
            return control.read().strip()

    def getattr(self, path, fh=None):
        stat = os.lstat(self.path(path))
        names = [name for name in dir(stat) if name.startswith("st_") and not name.endswith("_ns")]
        return {name: getattr(stat, name) for name in names}

    def readdir(self, path, fh):
        raise NotImplementedError("see Fuse.readdir")

    def open(self, path, flags):
        return os.open(self.path(path), flags)

    def release(self, path, fh):
        os.close(fh)
        return 0

    def read(self, path, size, offset, fh):
        half = os.fstat(fh).st_size // 2
        fault = self.fault()
        if fault == "slow":
            time.sleep(10)
        if fault == "read" and offset >= half:
            raise OSError(errno.EIO, "as asked")
        if fault == "read":
            size = half - offset
        return os.pread(fh, size, offset)


class Fuse(fusepy.FUSE):
    """fusepy hides the offset of a listing, which is what makes a failure midway."""

    def readdir(self, path, buf, filler, offset, fip):
        names = [".", ".."] + sorted(os.listdir(self.operations.path(self._decode_optional_path(path))))
        if self.operations.fault() == "list":
            half = len(names) // 2
            if offset >= half:
                return -errno.EIO
            names = names[:half]
        for index in range(offset, len(names)):
            if filler(buf, names[index].encode(), None, index + 1) != 0:
                break
        return 0


if __name__ == "__main__":
    folder, control, mountpoint = sys.argv[1:]
    # Without the page cache every read comes here.
    Fuse(Faulty(folder, control), mountpoint, foreground=True, direct_io=True, attr_timeout=0)
