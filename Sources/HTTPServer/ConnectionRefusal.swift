import NIOCore

/// Answers a connection beyond the limit with 503 and ends it without reading a request.
///
/// The output is closed first and the socket a second later, so that the client has the answer
/// before the unread request turns the close into a reset.
final class ConnectionRefusal: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let answer: PreparedResponse
  private static let lingerMs: Int64 = 1000

  init(answer: PreparedResponse) { self.answer = answer }

  func channelActive(context: ChannelHandlerContext) {
    var buffer = context.channel.allocator.buffer(capacity: 1024)
    buffer.writeBytes(answer.head)
    buffer.writeString("Connection: close\r\nContent-Length: \(answer.body.count)\r\n\r\n")
    buffer.writeBytes(answer.body)
    context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: nil)
    let channel = context.channel
    channel.close(mode: .output, promise: nil)
    channel.eventLoop.scheduleTask(in: .milliseconds(Self.lingerMs)) {
      channel.close(promise: nil)
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }
}
