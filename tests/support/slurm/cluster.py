#!/usr/bin/env python3
"""A real Slurm cluster on one machine, in a private folder: munged, slurmctld and one slurmd per node.

    python tests/support/slurm/cluster.py start [FOLDER]     prints the line that points a shell at the cluster
    python tests/support/slurm/cluster.py stop [FOLDER]

    with Cluster(folder) as cluster:
        cluster.run("sbatch", "job.sh")

Each node claims 16 CPUs, 128 GB and one GPU (`/dev/null`), whatever the machine has, so that what asks for them runs.
It takes no part of the machine's own Slurm, if there is one: own key, own ports, own folder. On Debian and Ubuntu the
packages are installed when they are missing and we are root. Any user may start it; jobs then run as that user.
"""

import argparse
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

PACKAGES = ("slurm-wlm", "munge")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
DEFAULT_FOLDER = Path(tempfile.gettempdir()) / f"pycurate-slurm-{os.getuid()}"
NODE_CPUS, NODE_MEMORY_MB = 16, 128000

SLURM_CONF = """\
ClusterName=pycurate
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=bf_interval=1,batch_sched_delay=0
# A job over its memory is ended, as it would be by control groups.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
# A node that does not answer is down after 10 s, and back as soon as it answers.
SlurmdTimeout=10
ReturnToService=1
KillWait=2
GresTypes=gpu
{nodes}
MaxJobCount=30000
PartitionName=cpu Nodes=ALL Default=YES DefMemPerCPU=1000
PartitionName=gpu Nodes=ALL DefMemPerCPU=1000
"""


def install() -> None:
    """Install Slurm and munge if they are missing. Raises RuntimeError if that is not possible here."""
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
    if all(map(shutil.which, PROGRAMS)):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise RuntimeError(f"Slurm is missing; install it, on Debian with: apt-get install {' '.join(PACKAGES)}")
    subprocess.run(["apt-get", "update", "-q"], check=True)
    subprocess.run(
        ["apt-get", "install", "-qy", "--no-install-recommends", *PACKAGES],
        check=True,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
    )


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@dataclass(frozen=True)
class Cluster:
    """A Slurm cluster whose configuration, state and logs live in `folder`.

    Entering starts it, leaving stops it and removes the folder. All methods raise RuntimeError with the tail of the
    log when a daemon does not do as told.
    """

    folder: Path = DEFAULT_FOLDER
    nodes: tuple[str, ...] = ("n1", "n2")

    @property
    def env(self) -> dict[str, str]:
        """The environment in which Slurm's commands, and Nextflow, talk to this cluster."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
        return inherited | {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def run(self, *command: str) -> str:
        """Run a command against the cluster and give its output. Raises CalledProcessError if it fails."""
        return subprocess.run(command, env=self.env, check=True, text=True, capture_output=True, timeout=120).stdout

    def start(self) -> None:
        """Bring the cluster up, anew; return when every node waits for work."""
        install()
        self.stop()
        self._configure()
        try:
            self._spawn(
                "munged",
                f"--socket={self.folder}/munge.socket",
                f"--key-file={self.folder}/munge.key",
                f"--pid-file={self.folder}/munged.pid",
                f"--log-file={self.folder}/munged.log",
                f"--seed-file={self.folder}/munged.seed",
                "--force",  # the folder lies under one that others may write to, such as /tmp
            )
            self.start_controller()
            for node in self.nodes:
                self.start_node(node)
            self.wait_idle(self.nodes)
        except BaseException:
            self.stop(keep=True)
            raise

    def stop(self, keep: bool = False) -> None:
        """End every job and daemon and remove the folder, or leave it for a look at the logs. No cluster: no harm."""
        if self._alive("slurmctld"):
            with suppress(subprocess.SubprocessError, RuntimeError):
                for node in self.nodes:  # a killed one has to come back to end its jobs
                    if not self._alive(node):
                        self.start_node(node)
                self.run("scancel", "--user", getpass.getuser())
                self._wait(lambda: not self.run("squeue", "--noheader"), "jobs to end", seconds=20)
        for daemon in [*self.nodes, "slurmctld", "munged"]:
            self._end(daemon, signal.SIGTERM)
        if not keep and (self.folder / "slurm.conf").exists():
            shutil.rmtree(self.folder, ignore_errors=True)

    def start_controller(self) -> None:
        """Start slurmctld."""
        self._spawn("slurmctld", "-f", f"{self.folder}/slurm.conf")

    def stop_controller(self) -> None:
        """Stop slurmctld; jobs run on."""
        self._end("slurmctld", signal.SIGTERM)

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node."""
        self._spawn("slurmd", "-N", node, "-f", f"{self.folder}/slurm.conf")

    def kill_node(self, node: str) -> None:
        """SIGKILL to the slurmd of a node, as when it crashes; its jobs run on and report to nobody."""
        self._end(node, signal.SIGKILL)

    def wait_idle(self, nodes: Iterable[str]) -> None:
        """Wait until these nodes are idle."""
        wanted = set(nodes)
        self._wait(
            lambda: wanted <= set(self.run("sinfo", "--noheader", "-N", "-t", "idle", "-o", "%N").split()), "idle nodes"
        )

    def _configure(self) -> None:
        host = socket.gethostname().split(".")[0]
        controller_port, *ports = free_ports(1 + len(self.nodes))
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
            f" CPUs={NODE_CPUS} RealMemory={NODE_MEMORY_MB} Gres=gpu:1"
            for node, port in zip(self.nodes, ports, strict=True)
        )
        self.folder.mkdir(mode=0o755)
        (self.folder / "state").mkdir()
        for node in self.nodes:
            (self.folder / f"spool-{node}").mkdir()
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        (self.folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
        (self.folder / "slurm.conf").write_text(
            SLURM_CONF.format(
                host=host, user=getpass.getuser(), folder=self.folder, controller_port=controller_port, nodes=nodes
            )
        )

    def _spawn(self, program: str, *arguments: str) -> None:
        done = subprocess.run([program, *arguments], env=self.env, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{program} did not start: {done.stderr or done.stdout}{self._logs()}")

    def _alive(self, daemon: str) -> int | None:
        """The process id of a daemon that runs, by its pid file; never that of a stranger who got its number since."""
        try:
            pid = int((self.folder / f"{daemon}.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if os.fsencode(self.folder) in command else None

    def _end(self, daemon: str, how: signal.Signals) -> None:
        pid = self._alive(daemon)
        if pid is not None:
            os.kill(pid, how)
            self._wait(lambda: self._alive(daemon) is None, f"{daemon} to end")

    def _wait(self, done: Callable[[], bool], what: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise RuntimeError(f"waited {seconds:.0f} s for {what}{self._logs()}")
            time.sleep(0.1)

    def _logs(self) -> str:
        tails = (f"\n--- {log.name}\n{log.read_text()[-2000:]}" for log in sorted(self.folder.glob("*.log")))
        return "".join(tails)


def main() -> None:
    """Start or stop a cluster from the shell."""
    parser = argparse.ArgumentParser(description="Start or stop a Slurm cluster of two nodes on this machine.")
    parser.add_argument("action", choices=["start", "stop"])
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    arguments = parser.parse_args()
    cluster = Cluster(arguments.folder.resolve())
    if arguments.action == "stop":
        cluster.stop()
    else:
        cluster.start()
        print(f"export SLURM_CONF={cluster.env['SLURM_CONF']}")


if __name__ == "__main__":
    main()
