import Glibc

/// One connection through the proxy: two sockets and what is on its way between them.
///
///     carrying --- an end closes ---> draining --- all delivered ---> closed
///        |
///        +-- left silent (half open): what comes is dropped, an end that closes is not told of
struct ProxyPipe {
  /// One direction.
  struct Flow {
    var pending: [(dueMicros: Int64, bytes: ArraySlice<UInt8>)] = []
    var pendingBytes = 0
    /// The source has sent its last byte.
    var hasEnded = false
    var isShut = false

    var isFull: Bool { pendingBytes >= ProxyPipe.pendingBytesMax }
  }

  static let pendingBytesMax = 1 << 20

  let line: Line
  /// From the process, and to the store.
  let sockets: [Int32]
  /// From socket 0 to 1, and from 1 to 0.
  var flows = [Flow(), Flow()]
  /// Until then everything is swallowed; the connection is reset at that time, as keepalives would.
  var silentUntilMicros: Int64?
  var isBroken = false

  init(line: Line, client: Int32, server: Int32) {
    self.line = line
    sockets = [client, server]
  }

  var isOver: Bool { isBroken || flows.allSatisfy(\.isShut) }

  /// Reads what has come on one socket.
  mutating func receive(_ side: Int, mode: Line.Mode, now: Int64) {
    var block = [UInt8](repeating: 0, count: 64 << 10)
    while !flows[side].isFull, !flows[side].hasEnded {
      let count = recv(sockets[side], &block, block.count, Int32(MSG_DONTWAIT))
      if count > 0 {
        if silentUntilMicros != nil || mode == .silent { continue }
        var delay: Int64 = 0
        if case .slow(let ms) = mode { delay = Int64(ms) * 1000 }
        flows[side].pending.append((now + delay, block[..<count]))
        flows[side].pendingBytes += count
      } else if count == 0 {
        flows[side].hasEnded = true
      } else {
        if errno == EINTR { continue }
        if errno != EAGAIN { fail() }
        return
      }
    }
  }

  /// Delivers what is due. Where the receiver takes no more, the rest stays.
  mutating func deliver(_ side: Int, now: Int64) {
    guard silentUntilMicros == nil else { return }
    let target = sockets[1 - side]
    while let first = flows[side].pending.first, first.dueMicros <= now {
      let count = first.bytes.withUnsafeBytes {
        send(target, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
      }
      if count < 0 {
        if errno == EINTR { continue }
        if errno != EAGAIN { fail() }
        return
      }
      flows[side].pendingBytes -= count
      if count == first.bytes.count {
        flows[side].pending.removeFirst()
      } else {
        flows[side].pending[0].bytes = first.bytes.dropFirst(count)
      }
    }
    if flows[side].hasEnded, flows[side].pending.isEmpty, !flows[side].isShut {
      shutdown(target, Int32(SHUT_WR))
      flows[side].isShut = true
    }
  }

  /// An end is gone: the other is told, unless the pipe is silent.
  private mutating func fail() {
    if silentUntilMicros == nil {
      isBroken = true
    } else {
      for side in 0...1 { flows[side].hasEnded = true }
    }
  }

  /// Closes both ends with a reset, which no receiver can take for an orderly end.
  func reset() {
    for socket in sockets {
      var now = linger(l_onoff: 1, l_linger: 0)
      setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
      close(socket)
    }
  }
}
