import Events
import NIOCore
import NIOHTTP1
import NIOPosix

/// The least that a server on SwiftNIO can do with the same requests: it parses HTTP, scans a JSON body to its
/// end, and answers with a pixel. It stores nothing. It shows what the rest of the collector costs.
struct BareServer {
  private let group: MultiThreadedEventLoopGroup
  private let channel: any Channel
  let url: String

  /// As many event loops as the collector has here.
  static func start(eventLoops: Int = 2) async throws -> BareServer {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: eventLoops)
    let channel = try await ServerBootstrap(group: group)
      .serverChannelOption(ChannelOptions.backlog, value: 1024)
      .childChannelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(
            ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
          try channel.pipeline.syncOperations.addHandler(BareHandler())
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    guard let port = channel.localAddress?.port else {
      throw BenchError("a bound port has a number")
    }
    return BareServer(group: group, channel: channel, url: "http://127.0.0.1:\(port)")
  }

  func stop() async throws {
    try await channel.close()
    try await group.shutdownGracefully()
  }
}

private final class BareHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = ByteBuffer

  private static let answer = ByteBuffer(
    string: "HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: 43\r\n\r\n"
      + String(repeating: ".", count: 43))

  private var body: ByteBuffer?

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch Self.unwrapInboundIn(data) {
    case .head: body = nil
    case .body(var bytes):
      if body == nil { body = bytes } else { body?.writeBuffer(&bytes) }
    case .end:
      if let body, !scans(body) {
        context.close(promise: nil)
        return
      }
      context.write(Self.wrapOutboundOut(Self.answer), promise: nil)
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) { context.flush() }

  private func scans(_ body: ByteBuffer) -> Bool {
    body.withUnsafeReadableBytes { bytes in
      do throws(JSONError) {
        var json = JSONScanner(bytes)
        try json.skipValue()
        try json.end()
        return true
      } catch {
        return false
      }
    }
  }
}
