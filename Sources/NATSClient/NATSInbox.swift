import CNats

/// A subject prefix that nobody else has: `_INBOX.` and 22 random characters.
public func newInbox() throws(NATSError) -> String {
  var inbox: UnsafeMutablePointer<CChar>?
  let status = natsInbox_Create(&inbox)
  guard status == NATS_OK, let inbox else {
    throw .failed(operation: "inbox", reason: statusText(status))
  }
  defer { natsInbox_Destroy(inbox) }
  return String(cString: inbox)
}
