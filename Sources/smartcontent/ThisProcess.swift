import Glibc
import LocalServers
import Ports
import Runtime

extension ProcessPlace {
  /// This process among those that share the streams.
  ///
  /// Another one of this host has ended for certain where the system knows no process with its pid and
  /// start time, as long as the system answers such questions at all.
  static var this: ProcessPlace {
    let pid = getpid()
    guard let identity = ProcessIdentity(running: pid), let host = ProcessIdentity.host else {
      // A host of its own: nobody looks for it by its pid.
      let host = "unknown \(UInt64.random(in: 0 ... .max))"
      return ProcessPlace(host: host, pid: pid, startTicks: 0) { _ in false }
    }
    return ProcessPlace(host: host, pid: pid, startTicks: Int64(identity.startTicks)) { member in
      guard identity.isRunning, let ticks = UInt64(exactly: member.startTicks) else { return false }
      return !ProcessIdentity(pid: member.pid, startTicks: ticks).isRunning
    }
  }
}
