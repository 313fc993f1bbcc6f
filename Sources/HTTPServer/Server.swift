public import Logging
import NIOCore
import NIOPosix
import Synchronization

/// An HTTP/1.1 server on one port with fast and asynchronous routes.
///
/// Source: RFC 9110, RFC 9112. TLS, HTTP/2 and compression of answers are a proxy's work. Life:
/// `init`, ``start()``, ``shutdown(withinMs:)``, once each.
public final class Server: Sendable {
  private struct Running {
    let group: MultiThreadedEventLoopGroup
    let channel: any Channel
    let loops: [LoopState]
  }

  private let core: ServerCore
  private let running = Mutex<Running?>(nil)

  /// - Parameter observer: called once per answered request, on its event loop.
  public init(
    _ parameters: ServerParameters, routes: Routes, log: Logger,
    observer: (@Sendable (AccessRecord) -> Void)? = nil
  ) {
    core = ServerCore(
      parameters: parameters, router: Router(routes), log: log, observer: observer)
  }

  /// Connections that are open now.
  public var openConnections: Int { core.openConnections.load(ordering: .relaxed) }

  /// Connections that were refused since the start because too many were open.
  public var refusedConnections: Int { core.refusedConnections.load(ordering: .relaxed) }

  /// Requests that were refused since the start before it was known which route they are for: their heads were too
  /// long or no HTTP.
  public var refusedHeads: Int { core.refusedHeads.load(ordering: .relaxed) }

  /// Bytes of request bodies in memory now.
  public var bufferedBodyBytes: Int { core.bufferedBodyBytes.load(ordering: .relaxed) }

  /// Binds the port and serves.
  ///
  /// - Returns: the port.
  /// - Throws: ``ServerParameterError``; ``BindError`` where the address cannot be had.
  public func start() async throws -> Int {
    let parameters = core.parameters
    try parameters.check()
    let group = MultiThreadedEventLoopGroup(numberOfThreads: parameters.eventLoops)
    let loops = group.makeIterator().enumerated().map {
      LoopState(index: $0.offset, eventLoop: $0.element)
    }
    for loop in loops {
      loop.eventLoop.execute { loop.start(sweepEveryMs: parameters.sweepIntervalMs) }
    }
    let core = core
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(ChannelOptions.backlog, value: 1024)
      .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(ChannelOptions.allowRemoteHalfClosure, value: true)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard let loop = loops.first(where: { $0.eventLoop === channel.eventLoop }) else {
            preconditionFailure("a connection is on a loop of its server")
          }
          try Self.configure(channel, loop: loop, core: core)
        }
      }
    do {
      let channel = try await bootstrap.bind(host: parameters.host, port: parameters.port).get()
      running.withLock { $0 = Running(group: group, channel: channel, loops: loops) }
      return channel.localAddress?.port ?? parameters.port
    } catch {
      try await group.shutdownGracefully()
      throw BindError(host: parameters.host, port: parameters.port, reason: "\(error)")
    }
  }

  private static func configure(_ channel: any Channel, loop: LoopState, core: ServerCore) throws {
    let open = core.openConnections.add(1, ordering: .relaxed).newValue
    if open > core.parameters.maxConnections {
      core.openConnections.subtract(1, ordering: .relaxed)
      core.refusedConnections.add(1, ordering: .relaxed)
      try channel.pipeline.syncOperations.addHandler(
        ConnectionRefusal(answer: core.answers.overloaded))
      return
    }
    try channel.pipeline.syncOperations.addHandler(Connection(loop: loop, core: core))
  }

  /// Stops accepting, lets requests under way finish, ends streams, and closes what is still open
  /// after the deadline. Does nothing where the server does not run.
  ///
  /// - Returns: the number of connections that the deadline cut off.
  @discardableResult
  public func shutdown(withinMs deadlineMs: Int) async throws -> Int {
    guard let running = running.withLock({ $0.take() }) else { return 0 }
    do {
      try await running.channel.close()
    } catch ChannelError.alreadyClosed {
      // The acceptor failed earlier; the connections are drained all the same.
    }
    let drained = running.loops.map { loop in
      let promise = loop.eventLoop.makePromise(of: Void.self)
      loop.eventLoop.execute { loop.drain(promise) }
      return promise.futureResult
    }
    let core = core
    let deadline = running.group.next().scheduleTask(in: .milliseconds(Int64(deadlineMs))) {
      let open = core.openConnections.load(ordering: .relaxed)
      core.log.warning(
        "connections cut off at the drain deadline", metadata: ["connections": "\(open)"])
      for loop in running.loops { loop.eventLoop.execute { loop.closeAll() } }
      return open
    }
    for future in drained { try await future.get() }
    deadline.cancel()
    var cutOff = 0
    do {
      cutOff = try await deadline.futureResult.get()
    } catch EventLoopError.cancelled {
      // Everything ended in time.
    }
    for loop in running.loops {
      loop.eventLoop.execute { loop.stop() }
      loop.hasEnded.store(true, ordering: .releasing)
    }
    try await running.group.shutdownGracefully()
    return cutOff
  }
}

/// The server could not listen.
public struct BindError: Error, Sendable, CustomStringConvertible {
  public let host: String
  public let port: Int
  public let reason: String

  public var description: String {
    "HTTP server: cannot listen on \(host):\(port) (\(reason)); choose another --http address"
  }
}
