import Glibc
import Logging
import NIOCore
import Synchronization

/// One connection: cuts what comes into requests, hands them to their routes, and writes the answers in
/// the order of the requests (RFC 9112 section 9.3.2), whatever the order they are ready in.
///
/// Fast routes run as soon as their request is whole; an asynchronous one starts when all earlier
/// answers of the connection are out. Reads are held while too many requests wait or the client
/// does not read its answers, so a connection's memory is bounded.
final class Connection: ChannelDuplexHandler, @unchecked Sendable {
  // Other threads only carry the reference and read `eventLoop`; all else is touched on the loop.

  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// What the next part of a request means.
  private enum Phase {
    /// Between requests.
    case idle
    /// In a request's body.
    case body(IncomingRequest)
    /// The request was answered before its end; the rest is dropped, then the connection ends.
    case discarding(bytesLeft: Int)
  }

  let loop: LoopState
  let eventLoop: any EventLoop
  let core: ServerCore
  var context: ChannelHandlerContext?
  private var parser: RequestParser
  private var phase = Phase.idle
  private var phaseDeadlineMs: Int64
  var exchanges = CircularBuffer<Exchange>(initialCapacity: 2)
  var firstExchange: UInt64 = 0
  var output: ByteBuffer?
  private var isReading = false
  private var isReadHeld = false
  var isDraining = false
  /// The last answer is on its way; nothing more is taken or written.
  var isEnding = false
  var inputHasEnded = false
  private var unwritableSinceMs: Int64?
  private var remoteAddress: String?
  /// Answers go straight to the socket while the channel has none to write itself: what a channel does around a
  /// write takes nearly as long as the rest of an answer.
  private var socket: NIOBSDSocket.Handle = -1
  /// Of answers that the channel has not written yet.
  private var channelWrites = 0
  private var peerIsTrusted = false
  /// Of a request whose first bytes are there.
  private var headDeadlineMs: Int64?

  init(loop: LoopState, core: ServerCore) {
    self.loop = loop
    self.core = core
    eventLoop = loop.eventLoop
    parser = RequestParser(
      maxHeadBytes: core.parameters.maxHeaderBytes, maxFields: core.parameters.maxHeaderFields)
    phaseDeadlineMs = loop.nowMs + Int64(core.parameters.headerTimeoutMs)
  }

  // MARK: Channel events

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    do {
      socket =
        try context.pipeline.syncOperations.withUnsafeTransportIfAvailable(
          of: NIOBSDSocket.Handle.self
        ) { $0 } ?? -1
    } catch {
      socket = -1  // The channel has been closed meanwhile.
    }
    loop.add(self)
  }

  func channelInactive(context: ChannelHandlerContext) {
    end()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { end() }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case ChannelEvent.inputClosed = event {
      inputHasEnded = true
      if case .streaming(let stream, let task, _)? = exchanges.first?.state {
        stream.close()
        task.cancel()
      }
      var isMidRequest = false
      if case .body = phase { isMidRequest = true }
      if exchanges.isEmpty || isMidRequest { context.close(promise: nil) }
    }
    context.fireUserInboundEventTriggered(event)
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    let isWritable = context.channel.isWritable
    unwritableSinceMs = isWritable ? nil : loop.nowMs
    if case .streaming(let stream, _, _)? = exchanges.first?.state {
      stream.writabilityChanged(to: isWritable)
    }
    releaseReads()
    context.fireChannelWritabilityChanged()
  }

  func read(context: ChannelHandlerContext) {
    if mustHoldReads { isReadHeld = true } else { context.read() }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    isReading = true
    let bytes = Self.unwrapInboundIn(data)
    guard !parser.hasFailed else { return receive(bytes) }
    parser.take(bytes)
    do {
      while let part = try parser.next() {
        switch part {
        case .head(let head): receive(head)
        case .body(let bytes): receive(bytes)
        case .end: receiveEnd()
        }
      }
      parser.settle()
      if !parser.isInHead {
        headDeadlineMs = nil
      } else if headDeadlineMs == nil {
        headDeadlineMs = loop.nowMs + Int64(core.parameters.headerTimeoutMs)
      }
    } catch {
      let answer =
        switch error {
        case .malformed: core.answers.badRequest
        case .otherVersion: core.answers.versionNotSupported
        case .tooLarge: core.answers.headerTooLarge
        }
      core.refusedHeads.add(1, ordering: .relaxed)
      refuseAndEnd(FastResponse(answer), method: .get)
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    flushOutput()
  }

  // MARK: Requests

  private func receive(_ head: RequestHead) {
    guard case .idle = phase, !isEnding else { return }
    let request = IncomingRequest(head, core: core)
    phaseDeadlineMs = loop.nowMs + Int64(core.parameters.bodyTimeoutMs)
    if let refusal = request.refusal, request.refusalEnds {
      refuseAndEnd(refusal, request)
      return
    }
    if head.expectsContinue && request.refusal == nil && exchanges.isEmpty {
      var buffer = takeOutput()
      buffer.writeStaticString("HTTP/1.1 100 Continue\r\n\r\n")
      output = buffer
    }
    phase = .body(request)
  }

  private func receive(_ bytes: ByteBuffer) {
    switch phase {
    case .idle: break
    case .discarding(let bytesLeft):
      let left = bytesLeft - bytes.readableBytes
      phase = .discarding(bytesLeft: left)
      if left < 0 { context?.close(promise: nil) }
    case .body(let request):
      let added = request.append(bytes, core: core)
      if added, let refusal = request.refusal, request.refusalEnds {
        request.releaseBody(core)
        refuseAndEnd(refusal, request)
      }
    }
  }

  private func receiveEnd() {
    switch phase {
    case .idle: break
    case .discarding:
      // The client has sent everything, so the answer cannot be lost to a reset any more.
      phase = .discarding(bytesLeft: 0)
    case .body(let request):
      phase = .idle
      dispatch(request)
    }
  }

  private func dispatch(_ request: IncomingRequest) {
    let id = firstExchange + UInt64(exchanges.count)
    if let refusal = request.refusal {
      exchanges.append(request.exchange(.ready(refusal)))
      advance()
      return
    }
    guard let route = request.route, let endpoint = request.endpoint else { return }
    switch route.handler {
    case .fast(let handler):
      let deadline = loop.nowMs + Int64(core.parameters.answerTimeoutMs)
      exchanges.append(request.exchange(.waiting(deadlineMs: deadline)))
      let answer = handler(
        request.fastRequest(
          remoteAddress: clientAddress(request), isOfTrustedProxy: peerIsTrusted),
        Responder(connection: self, exchange: id))
      if let answer { complete(exchange: id, with: answer) }
    case .async(let handler):
      let parameters = request.head.withPath { core.router.parameters(of: endpoint, in: $0) }
      if let parameters {
        let whole = request.asyncRequest(
          parameters: parameters, remoteAddress: clientAddress(request),
          isOfTrustedProxy: peerIsTrusted)
        exchanges.append(request.exchange(.queued(whole, handler)))
      } else {
        exchanges.append(request.exchange(.ready(FastResponse(core.answers.badPath))))
      }
      advance()
    }
  }

  /// Asked of the system once for all requests of the connection.
  private func peerAddress() -> String {
    if let remoteAddress { return remoteAddress }
    let address = context?.remoteAddress?.ipAddress ?? ""
    remoteAddress = address
    peerIsTrusted =
      !core.parameters.trustedProxies.isEmpty && core.parameters.trustedProxies.contains(address)
    return address
  }

  /// Of the peer, or of whom trusted proxies name.
  private func clientAddress(_ request: IncomingRequest) -> String {
    let peer = peerAddress()
    guard peerIsTrusted else { return peer }
    return ForwardedClient.address(
      request.head, peer: peer, trusted: core.parameters.trustedProxies)
  }

  /// Answers a request before its end and ends the connection after it.
  private func refuseAndEnd(_ answer: FastResponse, _ request: IncomingRequest) {
    phase = .discarding(bytesLeft: core.parameters.maxDiscardedBytes)
    let exchange = request.exchange(.ready(answer), bufferedBytes: 0)
    exchange.keepsAlive = false
    exchanges.append(exchange)
    advance()
  }

  private func refuseAndEnd(_ answer: FastResponse, method: HTTPMethod) {
    guard !isEnding else { return }
    if case .body(let request) = phase { request.releaseBody(core) }
    if case .discarding = phase { return }
    phase = .discarding(bytesLeft: core.parameters.maxDiscardedBytes)
    phaseDeadlineMs = loop.nowMs + Int64(core.parameters.headerTimeoutMs)
    exchanges.append(
      Exchange(
        state: .ready(answer), endpoint: nil, method: method, keepsAlive: false, isHTTP10: false,
        origin: nil, bufferedBytes: 0, requestBodyBytes: 0,
        startedNanoseconds: NIODeadline.now().uptimeNanoseconds))
    advance()
  }

  // MARK: Answers

  /// Sets the answer of a waiting or running exchange; late and second answers are ignored.
  func complete(exchange id: UInt64, with response: FastResponse) {
    guard context != nil, id >= firstExchange else { return }
    let offset = Int(id - firstExchange)
    guard offset < exchanges.count else { return }
    let index = exchanges.index(exchanges.startIndex, offsetBy: offset)
    switch exchanges[index].state {
    case .waiting, .running:
      exchanges[index].state = .ready(response)
      if offset == 0 { advance() }
    case .queued, .ready, .streaming: break
    }
  }

  /// Writes what completed answers have left in the output, unless a read will do so anyway.
  func flushCompleted() {
    if !isReading { flushOutput() }
  }

  /// Writes every answer whose turn it is and starts the next asynchronous route.
  func advance() {
    while !isEnding, let exchange = exchanges.first {
      switch exchange.state {
      case .waiting, .running, .streaming: return
      case .queued(let request, let handler):
        start(handler, request)
        return
      case .ready(let response):
        exchanges.removeFirst()
        firstExchange += 1
        let closes = closes(after: exchange)
        var buffer = takeOutput()
        ResponseWriter.write(
          response, for: exchange, closes: closes, dateLine: loop.dateLine, to: &buffer)
        output = buffer
        finish(exchange, status: response.status, bodyBytes: response.bodyByteCount)
        if closes { isEnding = true }
      }
    }
    if exchanges.isEmpty, case .idle = phase {
      phaseDeadlineMs = loop.nowMs + Int64(core.parameters.idleTimeoutMs)
    }
    releaseReads()
  }

  func closes(after exchange: Exchange) -> Bool {
    !exchange.keepsAlive || isDraining || (inputHasEnded && exchanges.isEmpty)
  }

  func finish(_ exchange: Exchange, status: HTTPStatus, bodyBytes: Int) {
    if exchange.bufferedBytes > 0 {
      core.bufferedBodyBytes.subtract(exchange.bufferedBytes, ordering: .relaxed)
    }
    guard let observer = core.observer else { return }
    observer(
      AccessRecord(
        route: exchange.endpoint?.pattern ?? "", routeNumber: exchange.endpoint?.number ?? 0,
        method: exchange.method, status: status,
        requestBodyBytes: exchange.requestBodyBytes, responseBodyBytes: bodyBytes,
        durationNanoseconds: NIODeadline.now().uptimeNanoseconds &- exchange.startedNanoseconds))
  }

  func takeOutput() -> ByteBuffer {
    guard let buffer = output else { return loop.takeBuffer() }
    output = nil
    return buffer
  }

  func flushOutput() {
    guard let context, var buffer = output else { return }
    output = nil
    if isEnding {
      let written = eventLoop.makePromise(of: Void.self)
      written.futureResult.whenComplete { _ in self.lastAnswerWritten() }
      context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: written)
    } else {
      if !writeNow(&buffer, context) {
        channelWrites += 1
        let written = eventLoop.makePromise(of: Void.self)
        written.futureResult.whenComplete { _ in self.channelWrites -= 1 }
        context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: written)
      }
      loop.giveBack(buffer)
    }
  }

  /// - Returns: false where something is left in the buffer, which the channel has to write.
  private func writeNow(_ buffer: inout ByteBuffer, _ context: ChannelHandlerContext) -> Bool {
    // A socket that was closed may be another connection's by now; its channel is not active then.
    guard channelWrites == 0, socket >= 0, context.channel.isActive else { return false }
    let count = buffer.readableBytesSpan.withUnsafeBytes {
      send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    if count > 0 { buffer.moveReaderIndex(forwardBy: count) }
    return buffer.readableBytes == 0
  }

  /// A client that still sends would lose the answer to a reset if the socket were closed now, so
  /// only the output is closed; the rest of its body is dropped, or the deadline ends it.
  func lastAnswerWritten() {
    guard let context else { return }
    if case .discarding(let bytesLeft) = phase, bytesLeft > 0, !inputHasEnded {
      context.close(mode: .output, promise: nil)
    } else {
      context.close(promise: nil)
    }
  }

  // MARK: Limits

  private var mustHoldReads: Bool {
    exchanges.count >= core.parameters.maxPipelinedRequests
      || unwritableSinceMs != nil && !exchanges.isEmpty
  }

  private func releaseReads() {
    guard isReadHeld, !mustHoldReads, let context else { return }
    isReadHeld = false
    // The rest of a head may have waited for this.
    if headDeadlineMs != nil {
      headDeadlineMs = loop.nowMs + Int64(core.parameters.headerTimeoutMs)
    }
    context.read()
  }

  /// Called by the loop's sweep.
  func checkDeadlines(nowMs: Int64) {
    guard let context else { return }
    if let since = unwritableSinceMs, nowMs - since > Int64(core.parameters.writeTimeoutMs) {
      context.close(promise: nil)
      return
    }
    if case .waiting(let deadlineMs)? = exchanges.first?.state, nowMs > deadlineMs {
      let route = exchanges.first.flatMap { $0.endpoint?.methods[$0.method.rawValue] }
      route?.options.refused?(.answerTimeout, nil)
      complete(exchange: firstExchange, with: FastResponse(core.answers.answerTimeout))
      flushOutput()
    }
    if let headDeadlineMs, nowMs > headDeadlineMs, case .idle = phase, exchanges.isEmpty {
      context.close(promise: nil)
      return
    }
    guard nowMs > phaseDeadlineMs else { return }
    switch phase {
    case .idle:
      if exchanges.isEmpty { context.close(promise: nil) }
    case .body(let request):
      request.tell(.bodyTimeout)
      request.releaseBody(core)
      refuseAndEnd(FastResponse(core.answers.bodyTimeout), request)
      phase = .discarding(bytesLeft: 0)
      flushOutput()
    case .discarding:
      if exchanges.isEmpty { context.close(promise: nil) }
    }
  }

  /// Ends after the answers that are under way.
  func drain() {
    guard let context else { return }
    isDraining = true
    if case .streaming(let stream, let task, _)? = exchanges.first?.state {
      stream.close()
      task.cancel()
    }
    if case .idle = phase, exchanges.isEmpty, !isEnding { context.close(promise: nil) }
  }

  func abort() { context?.close(promise: nil) }

  /// The channel has gone: everything that waits for it ends.
  private func end() {
    guard context != nil else { return }
    context = nil
    isEnding = true
    if case .body(let request) = phase { request.releaseBody(core) }
    phase = .discarding(bytesLeft: 0)
    while let exchange = exchanges.popFirst() {
      firstExchange += 1
      if exchange.bufferedBytes > 0 {
        core.bufferedBodyBytes.subtract(exchange.bufferedBytes, ordering: .relaxed)
      }
      switch exchange.state {
      case .running(let task): task.cancel()
      case .streaming(let stream, let task, _):
        stream.close()
        task.cancel()
      case .waiting, .queued, .ready: break
      }
    }
    loop.remove(self)
    core.openConnections.subtract(1, ordering: .relaxed)
  }
}
