import Logging
import NIOCore
import NIOHTTP1
import Synchronization

/// One connection: takes decoded requests, hands them to their routes, and writes the answers in
/// the order of the requests (RFC 9112 section 9.3.2), whatever the order they are ready in.
///
/// Fast routes run as soon as their request is whole; an asynchronous one starts when all earlier
/// answers of the connection are out. Reads are held while too many requests wait or the client
/// does not read its answers, so a connection's memory is bounded.
final class Connection: ChannelDuplexHandler, @unchecked Sendable {
  // Other threads only carry the reference and read `eventLoop`; all else is touched on the loop.

  typealias InboundIn = HTTPServerRequestPart
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

  init(loop: LoopState, core: ServerCore) {
    self.loop = loop
    self.core = core
    eventLoop = loop.eventLoop
    phaseDeadlineMs = loop.nowMs + Int64(core.parameters.headerTimeoutMs)
  }

  // MARK: Channel events

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    loop.add(self)
  }

  func channelInactive(context: ChannelHandlerContext) {
    end()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { end() }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard let failure = error as? HTTPParserError else {
      context.close(promise: nil)
      return
    }
    let answer =
      switch failure {
      case .headerOverflow: core.answers.headerTooLarge
      case .invalidVersion: core.answers.versionNotSupported
      default: core.answers.badRequest
      }
    refuseAndEnd(FastResponse(answer), method: .get)
    flushOutput()
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
    switch Self.unwrapInboundIn(data) {
    case .head(let head): receive(head)
    case .body(let bytes): receive(bytes)
    case .end: receiveEnd()
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    flushOutput()
    context.fireChannelReadComplete()
  }

  // MARK: Requests

  private func receive(_ head: HTTPRequestHead) {
    guard case .idle = phase, !isEnding else { return }
    let request = IncomingRequest(head, core: core)
    phaseDeadlineMs = loop.nowMs + Int64(core.parameters.bodyTimeoutMs)
    if let refusal = request.refusal, request.refusalEnds {
      refuseAndEnd(refusal, request)
      return
    }
    if request.expectsContinue && request.refusal == nil && exchanges.isEmpty {
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
    case .body(var request):
      phase = .idle  // So that the buffer is not shared while it grows.
      let added = request.append(bytes, core: core)
      if added, let refusal = request.refusal, request.refusalEnds {
        request.releaseBody(core)
        refuseAndEnd(refusal, request)
      } else {
        phase = .body(request)
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
        request.fastRequest(remoteAddress: peerAddress()),
        Responder(connection: self, exchange: id))
      if let answer { complete(exchange: id, with: answer) }
    case .async(let handler):
      let path = request.head.uri.utf8.span.bytes.extracting(0..<request.pathEnd)
      if let parameters = core.router.parameters(of: endpoint, in: path) {
        let whole = request.asyncRequest(parameters: parameters, remoteAddress: peerAddress())
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
    return address
  }

  /// Answers a request before its end and ends the connection after it.
  private func refuseAndEnd(_ answer: FastResponse, _ request: IncomingRequest) {
    phase = .discarding(bytesLeft: core.parameters.maxDiscardedBytes)
    var exchange = request.exchange(.ready(answer), bufferedBytes: 0)
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
    guard let context, let buffer = output else { return }
    output = nil
    if isEnding {
      let written = eventLoop.makePromise(of: Void.self)
      written.futureResult.whenComplete { _ in self.lastAnswerWritten() }
      context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: written)
    } else {
      context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: nil)
      loop.giveBack(buffer)
    }
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
      complete(exchange: firstExchange, with: FastResponse(core.answers.answerTimeout))
      flushOutput()
    }
    guard nowMs > phaseDeadlineMs else { return }
    switch phase {
    case .idle:
      if exchanges.isEmpty { context.close(promise: nil) }
    case .body:
      refuseAndEnd(FastResponse(core.answers.bodyTimeout), method: .get)
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
