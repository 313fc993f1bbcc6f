import CNats

/// The settings of every session, for the C library.
struct NATSOptions: ~Copyable {
  let handle: OpaquePointer

  /// Library defaults; `apply` sets ours.
  init() throws(NATSError) {
    var created: OpaquePointer?
    guard natsOptions_Create(&created) == NATS_OK, let created else {
      throw .failed(operation: "set-up", reason: "the library cannot be initialised")
    }
    handle = created
  }

  func apply(_ address: NATSAddress, name: String) throws(NATSError) {
    try setServers(address)
    try check(natsOptions_SetName(handle, name), "name")
    try check(natsOptions_SetTimeout(handle, NATSSession.connectTimeoutMs), "timeout")
    try check(natsOptions_SetAllowReconnect(handle, false), "reconnect")
    try check(natsOptions_SetReconnectBufSize(handle, 1), "reconnect buffer")
    try check(natsOptions_SetPingInterval(handle, NATSSession.pingIntervalMs), "ping interval")
    try check(natsOptions_SetMaxPingsOut(handle, NATSSession.pingsOutMax), "pings out")
    try check(natsOptions_SetWriteDeadline(handle, NATSSession.writeDeadlineMs), "write deadline")
    try check(natsOptions_SetIOBufSize(handle, NATSSession.ioBufferBytes), "buffer")
    // Without this a flusher thread of the library writes up to 1 ms later, out of our sight.
    try check(natsOptions_SetSendAsap(handle, true), "send as soon as possible")
    try check(natsOptions_SetFailRequestsOnDisconnect(handle, true), "fail requests")
    if address.usesTLS { try check(natsOptions_SetSecure(handle, true), "TLS") }
    switch address.credentials {
    case .none: break
    case .token(let token): try check(natsOptions_SetToken(handle, token), "token")
    case .user(let user, let password):
      try check(natsOptions_SetUserInfo(handle, user, password), "user")
    }
  }

  deinit { natsOptions_Destroy(handle) }

  private func setServers(_ address: NATSAddress) throws(NATSError) {
    let copies = address.servers.map { server in
      let utf8 = Array(server.url.utf8CString)
      let copy = UnsafeMutablePointer<CChar>.allocate(capacity: utf8.count)
      copy.initialize(from: utf8, count: utf8.count)
      return copy
    }
    defer { for copy in copies { copy.deallocate() } }
    var pointers = copies.map { UnsafePointer<CChar>?($0) }
    let status = natsOptions_SetServers(handle, &pointers, Int32(pointers.count))
    guard status == NATS_OK else {
      throw .invalidAddress("\(address) is not understood (\(statusText(status)))")
    }
  }

  func check(_ status: natsStatus, _ what: String) throws(NATSError) {
    guard status == NATS_OK else {
      throw .failed(operation: "set-up of \(what)", reason: statusText(status))
    }
  }
}
