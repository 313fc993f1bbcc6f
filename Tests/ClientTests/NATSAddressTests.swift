import Testing

@testable import NATSClient

@Suite("NATS address")
struct NATSAddressTests {
  @Test(
    "servers, ports and credentials are read",
    arguments: [
      ("nats://127.0.0.1:4333", "127.0.0.1:4333", NATSAddress.Credentials.none),
      ("localhost", "localhost:4222", .none),
      ("nats://a:1, nats://b", "a:1,b:4222", .none),
      ("nats://s3cret@h:1/", "h:1", .token("s3cret")),
      ("nats://u:p%40ss%3a@h", "h:4222", .user("u", password: "p@ss:")),
      ("nats://u:@h", "h:4222", .user("u", password: "")),
      ("nats://[::1]:4333", "[::1]:4333", .none),
      ("nats://[::1]", "[::1]:4222", .none),
      ("nats://t@a:1,nats://t@b:2", "a:1,b:2", .token("t")),
      ("nats://t@a:1,b:2", "a:1,b:2", .token("t")),
    ])
  func valid(_ text: String, _ servers: String, _ credentials: NATSAddress.Credentials) throws {
    let address = try NATSAddress(text)
    #expect(address.description == servers)
    #expect(address.credentials == credentials)
    #expect(!address.usesTLS)
  }

  @Test("tls:// asks for encryption")
  func tls() throws {
    #expect(try NATSAddress("tls://h").usesTLS)
  }

  @Test(
    "a wrong address is refused without repeating its secrets",
    arguments: [
      "", "http://s3cret@h", "nats://s3cret@", "nats://s3cret@h:0", "nats://s3cret@h:65536",
      "nats://s3cret@h:port", "nats://s3cret@h/path", "nats://@h", "nats://s3cret%4@h",
      "nats://s3cret%ff@h", "nats://s3cret@a,nats://other@b", "nats://s3cret@a,,b",
      "nats://s3cret@a b",
    ])
  func invalid(_ text: String) {
    do {
      _ = try NATSAddress(text)
      Issue.record("no error")
    } catch {
      #expect("\(error)".contains("NATS address"))
      #expect(!"\(error)".contains("s3cret"))
    }
  }

  @Test("an INFO line is read, anything else is not")
  func greeting() {
    let line =
      #"INFO {"server_id":"NX","server_name":"a \"version\":\"9\"","version":"2.15.1","#
      + #""headers":true,"auth_required":true,"max_payload":1048576,"jetstream":true}"#
    let greeting = ServerGreeting(line: line)
    #expect(greeting?.version == "2.15.1")
    #expect(greeting?.maxPayload == 1_048_576)
    #expect(greeting?.hasJetStream == true)
    #expect(greeting?.requiresCredentials == true)
    for other in ["", "INFO ", "INFO {}", "HTTP/1.1 400 Bad Request"] {
      #expect(ServerGreeting(line: other) == nil)
    }
  }
}
