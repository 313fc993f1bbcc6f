import Glibc
import Testing

@testable import HTTPClient

@Suite("Public addresses")
struct PublicAddressTests {
  private func bytes(_ text: String) throws -> [UInt8] {
    let family = text.contains(":") ? AF_INET6 : AF_INET
    var bytes = [UInt8](repeating: 0, count: family == AF_INET6 ? 16 : 4)
    try #require(inet_pton(family, text, &bytes) == 1)
    return bytes
  }

  @Test(
    "those of the internet are",
    arguments: [
      "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
      "128.0.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "198.20.0.0",
      "223.255.255.255", "2600::1", "2001:200::1", "2a00:1450::1", "::ffff:8.8.8.8",
      "64:ff9b::8.8.8.8", "3fff:1000::1",
    ])
  func open(text: String) throws {
    #expect(PublicAddress.isPublic(try bytes(text)))
  }

  @Test(
    "those of networks of one's own, of this machine and of no use are not",
    arguments: [
      "0.0.0.0", "10.0.0.0", "10.255.255.255", "100.64.0.1", "127.0.0.1", "127.255.255.255",
      "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.0.1",
      "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "255.255.255.255",
      "::", "::1", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "2001::1", "2002::1",
      "3fff::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::192.168.0.1", "::7f00:1",
    ])
  func closed(text: String) throws {
    #expect(!PublicAddress.isPublic(try bytes(text)))
  }

  @Test("what has another length is no address")
  func lengths() {
    #expect(!PublicAddress.isPublic([]))
    #expect(!PublicAddress.isPublic([8, 8, 8, 8, 8]))
  }

  @Test(
    "a client that is to keep to them opens no connection to this machine, by whatever name",
    arguments: ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "2130706433"])
  func client(host: String) throws {
    let server = try ScriptedServer([.bytes("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")])
    defer { server.stop() }
    let url = "http://\(host):\(server.port)/"
    let client = try HTTPClient(HTTPClientSettings(refusesPrivateAddresses: true))
    #expect(throws: HTTPClientError.privateAddress(url: url)) { try client.post(url, body: []) }
    #expect(server.connectionCount == 0)
  }
}
