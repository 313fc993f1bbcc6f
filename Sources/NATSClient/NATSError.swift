/// What can go wrong between this process and a NATS server.
///
/// Every text names the operation, the place (servers or subject, never a secret) and the next
/// step, so that it can be shown to the person who runs the program as it is.
public enum NATSError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The address can't be used; nothing was tried.
  case invalidAddress(String)
  /// No server of the list accepted a connection within the time given.
  case cannotConnect(servers: String, reason: String)
  /// There is no connection at this moment; it is being opened again in the background.
  case disconnected(servers: String, reason: String)
  /// No answer within `milliseconds`. Whether the other side acted is unknown.
  case timedOut(operation: String, milliseconds: Int)
  /// Nothing listens on `subject`: for JetStream no stream has the subject, or it is starting.
  case noResponders(subject: String)
  /// The server's `max_payload` is smaller than the message.
  case payloadTooLarge(bytes: Int, allowed: Int)
  /// A bounded inbound queue was full and messages were dropped: read from the log again.
  case slowConsumer(subject: String)
  /// Any other refusal of the client library.
  case failed(operation: String, reason: String)

  public var description: String {
    switch self {
    case .invalidAddress(let why):
      return "NATS address: \(why); write it as nats://host:port, several separated by commas"
    case .cannotConnect(let servers, let reason):
      return "cannot connect to NATS at \(servers): \(reason); start nats-server or correct the"
        + " address"
    case .disconnected(let servers, let reason):
      return "not connected to NATS at \(servers) now: \(reason); the connection is being opened"
        + " again, try again"
    case .timedOut(let operation, let milliseconds):
      return "NATS \(operation): no answer within \(milliseconds) ms; try again"
    case .noResponders(let subject):
      return "NATS: nothing listens on \(subject); apply the stream definitions, and check that"
        + " the server runs with JetStream (-js)"
    case .payloadTooLarge(let bytes, let allowed):
      return "NATS: a message of \(bytes) bytes is larger than the server's max_payload of"
        + " \(allowed); raise max_payload"
    case .slowConsumer(let subject):
      return "NATS: the inbound queue of \(subject) was full and messages were dropped; read again"
        + " from the last position"
    case .failed(let operation, let reason):
      return "NATS \(operation) failed: \(reason)"
    }
  }
}
