// Owns what the operating system says about a process: CPU time, peak memory, and a clock all processes share.
import { readdirSync, readFileSync } from 'node:fs';

// The kernel reports in USER_HZ, which is 100 on every Linux that runs Node, whatever its internal tick.
const TICKS_PER_SECOND = 100;
const KIB_PER_MIB = 1024;

/** Seconds of CPU (user and system) the process has used; null where there is no /proc. */
export function readCpuSeconds(pid: number): number | null {
  const text = readProc(pid, 'stat');
  if (text === null) return null;
  // The second field is the program's name and may hold spaces and brackets: count from the last bracket.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return Number.isFinite(ticks) ? ticks / TICKS_PER_SECOND : null;
}

/** The most memory the process ever had resident, in MiB; null where there is no /proc. */
export function readPeakMemoryMib(pid: number): number | null {
  return readStatus(pid, 'VmHWM');
}

/** The memory the process has resident now, in MiB; null where there is no /proc. */
export function readMemoryMib(pid: number): number | null {
  return readStatus(pid, 'VmRSS');
}

/** How many files and sockets the process has open; null where there is no /proc. */
export function countOpenFiles(pid: number): number | null {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return null;
  }
}

function readStatus(pid: number, name: string): number | null {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readProc(pid, 'status') ?? '');
  return match === null ? null : Number(match[1]) / KIB_PER_MIB;
}

/** Milliseconds on the machine's monotonic clock: comparable between processes, unlike performance.now(). */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

function readProc(pid: number, name: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return null;
  }
}
