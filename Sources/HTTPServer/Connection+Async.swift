import Logging
import NIOCore

/// Asynchronous routes of a connection: their tasks, and streamed bodies.
///
/// The task belongs to the exchange at the front; everything that it does to the connection
/// happens on the event loop.
extension Connection {
  func start(_ handler: @escaping AsyncHandler, _ request: HTTPRequest) {
    let id = firstExchange
    let log = core.log
    let task = Task {
      do {
        let response = try await handler(request)
        await self.take(response, exchange: id)
      } catch let problem as Problem {
        Responder(connection: self, exchange: id).complete(FastResponse(problem))
      } catch {
        if !(error is CancellationError) {
          log.error(
            "a route failed",
            metadata: ["path": "\(request.path)", "error": "\(error)"])
        }
        Responder(connection: self, exchange: id).complete(
          FastResponse(self.core.answers.internalError))
      }
    }
    exchanges[exchanges.startIndex].state = .running(task)
  }

  private func take(_ response: HTTPResponse, exchange id: UInt64) async {
    switch response.body {
    case .bytes(let bytes):
      let prepared = PreparedResponse(
        status: response.status, headers: response.headers, body: bytes)
      Responder(connection: self, exchange: id).complete(FastResponse(prepared))
    case .stream(let producer):
      let head = HeaderText.head(status: response.status, headers: response.headers)
      let stream = ResponseStream(connection: self, exchange: id)
      let isOpen = await withCheckedContinuation {
        (continuation: CheckedContinuation<Bool, Never>) in
        eventLoop.execute {
          continuation.resume(returning: self.open(stream, exchange: id, head: head))
        }
      }
      guard isOpen else { return }
      var isWhole = true
      do {
        try await producer(stream)
      } catch is StreamClosed {
        // The client has gone or the server drains; the producer did right to stop.
      } catch is CancellationError {
        // As above.
      } catch {
        core.log.error("a stream failed", metadata: ["error": "\(error)"])
        isWhole = false
      }
      let wasWhole = isWhole
      eventLoop.execute { self.finish(stream, exchange: id, status: response.status, wasWhole) }
    }
  }

  /// - Returns: false where nothing is to be produced: the client has gone, or asked for the head.
  private func open(_ stream: ResponseStream, exchange id: UInt64, head: [UInt8]) -> Bool {
    guard let context, id == firstExchange, let exchange = exchanges.first,
      case .running(let task) = exchange.state
    else { return false }
    let isChunked = !exchange.isHTTP10
    let closes = closes(after: exchange) || !isChunked
    exchanges[exchanges.startIndex].keepsAlive = !closes
    exchanges[exchanges.startIndex].state = .streaming(stream, task, isChunked: isChunked)
    var buffer = takeOutput()
    ResponseWriter.writeStreamHead(
      head, for: exchange, closes: closes, dateLine: loop.dateLine, to: &buffer)
    output = buffer
    if !exchange.isHead { limitUnsentBytes(context) }
    flushOutput()
    if isDraining || inputHasEnded {
      stream.close()
      task.cancel()
    }
    if exchange.isHead { endStream(stream, status: .ok, writesEnd: false) }
    return !exchange.isHead
  }

  /// Keeps the kernel from hiding a slow reader behind megabytes of its buffer.
  private func limitUnsentBytes(_ context: ChannelHandlerContext) {
    let notSentLowWater = ChannelOptions.Types.SocketOption(
      level: .tcp, name: .init(rawValue: 25))  // TCP_NOTSENT_LOWAT, Linux tcp(7).
    context.channel.setOption(notSentLowWater, value: 16 * 1024).whenFailure { error in
      self.core.log.debug("TCP_NOTSENT_LOWAT not set", metadata: ["error": "\(error)"])
    }
    let mark = ChannelOptions.Types.WriteBufferWaterMark(low: 1, high: 1)
    context.channel.setOption(ChannelOptions.writeBufferWaterMark, value: mark).whenFailure {
      self.core.log.debug("water mark not set", metadata: ["error": "\($0)"])
    }
  }

  func writeChunk(_ bytes: [UInt8], exchange id: UInt64) {
    guard context != nil, id == firstExchange,
      case .streaming(_, _, let isChunked)? = exchanges.first?.state
    else { return }
    var buffer = takeOutput()
    ResponseWriter.writeChunk(bytes, isChunked: isChunked, to: &buffer)
    output = buffer
    flushOutput()
  }

  private func finish(
    _ stream: ResponseStream, exchange id: UInt64, status: HTTPStatus, _ isWhole: Bool
  ) {
    guard let context, id == firstExchange else { return }
    guard isWhole else {
      context.close(promise: nil)  // Without the last chunk the client knows it was cut short.
      return
    }
    endStream(stream, status: status, writesEnd: true)
  }

  private func endStream(_ stream: ResponseStream, status: HTTPStatus, writesEnd: Bool) {
    guard let context, let exchange = exchanges.first,
      case .streaming(_, _, let isChunked) = exchange.state
    else { return }
    exchanges.removeFirst()
    firstExchange += 1
    stream.close()
    if writesEnd && isChunked {
      var buffer = takeOutput()
      ResponseWriter.writeLastChunk(to: &buffer)
      output = buffer
    }
    finish(exchange, status: status, bodyBytes: 0)
    if closes(after: exchange) {
      isEnding = true
      if output == nil {
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer())).whenComplete { _ in
          self.lastAnswerWritten()
        }
      }
    } else {
      let mark = ChannelOptions.Types.WriteBufferWaterMark(low: 32 * 1024, high: 64 * 1024)
      context.channel.setOption(ChannelOptions.writeBufferWaterMark, value: mark).whenFailure {
        self.core.log.debug("water mark not reset", metadata: ["error": "\($0)"])
      }
      advance()
    }
    flushOutput()
  }
}
