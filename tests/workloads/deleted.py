# SPDX-License-Identifier: MIT
"""What a program sees that is started in a directory that has been removed."""
import errno
import os
import subprocess


def says(what, *args, **more):
    try:
        return what(*args, **more)
    except OSError as e:
        return errno.errorcode[e.errno]


print("getcwd", says(os.getcwd), os.readlink("/proc/self/cwd"))
print("new", says(os.open, "file", os.O_CREAT | os.O_WRONLY), says(os.mkdir, "d"), says(os.symlink, "x", "l"), says(os.open, "old", os.O_RDONLY))
print("dir", os.listdir("."), os.stat(".").st_nlink, os.stat(".").st_uid == os.getuid(), says(os.rmdir, "../" + os.path.basename(os.readlink("/proc/self/cwd"))[:-10]))
print("child", says(subprocess.call, ["/bin/sh", "-c", "exit $(/bin/pwd -P 2> /dev/null | wc -c)"]))
os.chdir("..")
print("up", os.getcwd())
