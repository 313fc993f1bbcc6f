import CCurl
import Glibc

/// What libcurl's callbacks write into while one exchange runs.
///
/// The callbacks run on the calling thread, inside `curl_easy_perform`.
final class AnswerReceiver {
  private(set) var headers: [HTTPHeader] = []
  private(set) var body: [UInt8] = []
  private(set) var isTooLarge = false
  private var byteCountMax = 0
  private var onChunk: ((UnsafeRawBufferPointer) -> Bool)?
  private(set) var isStoppedByCaller = false
  /// Set where a socket was refused for its address.
  private(set) var hasRefusedAddress = false

  func begin(byteCountMax: Int, onChunk: ((UnsafeRawBufferPointer) -> Bool)? = nil) {
    headers.removeAll(keepingCapacity: true)
    body = []
    isTooLarge = false
    isStoppedByCaller = false
    hasRefusedAddress = false
    self.byteCountMax = byteCountMax
    self.onChunk = onChunk
  }

  /// One header line with its line break. A status line starts the headers anew, so that those of
  /// an interim answer (100) are forgotten.
  func receive(headerLine: UnsafeRawBufferPointer) {
    if headerLine.starts(with: "HTTP/".utf8) {
      headers.removeAll(keepingCapacity: true)
      return
    }
    guard let colon = headerLine.firstIndex(of: UInt8(ascii: ":")) else { return }
    let name = String(decoding: headerLine[..<colon], as: UTF8.self)
    let value = headerLine[(colon + 1)...].trimmingSpace()
    headers.append(HTTPHeader(name, String(decoding: value, as: UTF8.self)))
  }

  /// - Returns: false to end the exchange.
  func receive(chunk: UnsafeRawBufferPointer) -> Bool {
    if let onChunk {
      isStoppedByCaller = !onChunk(chunk)
      return !isStoppedByCaller
    }
    guard body.count + chunk.count <= byteCountMax else {
      isTooLarge = true
      return false
    }
    body.append(contentsOf: chunk)
    return true
  }

  /// Opens a socket where the address is a public one.
  func openSocket(_ address: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
    guard PublicAddress.isPublic(address.pointee.family, UnsafeRawPointer(address)) else {
      hasRefusedAddress = true
      // CURL_SOCKET_BAD
      return -1
    }
    let to = address.pointee
    return socket(to.family, to.socktype, to.protocol)
  }

  /// Hands the body over without a copy.
  func takeBody() -> [UInt8] {
    defer { body = [] }
    return body
  }

  /// Lets go of the caller's function.
  func end() { onChunk = nil }
}

extension PublicAddress {
  /// - Parameter address: of a `curl_sockaddr`, whose last member is as long as the family's addresses are.
  fileprivate static func isPublic(_ family: Int32, _ address: UnsafeRawPointer) -> Bool {
    guard let place = MemoryLayout<curl_sockaddr>.offset(of: \.addr) else { return false }
    let start = address + place
    switch family {
    case AF_INET:
      let v4 = start.loadUnaligned(as: sockaddr_in.self).sin_addr
      return isPublic(withUnsafeBytes(of: v4) { Array($0) })
    case AF_INET6:
      let v6 = start.loadUnaligned(as: sockaddr_in6.self).sin6_addr
      return isPublic(withUnsafeBytes(of: v6) { Array($0) })
    default: return false
    }
  }
}

extension Slice<UnsafeRawBufferPointer> {
  /// Without spaces, tabs and line breaks at both ends.
  fileprivate func trimmingSpace() -> Self {
    var part = self
    while let first = part.first, first <= 0x20 { part = part.dropFirst() }
    while let last = part.last, last <= 0x20 { part = part.dropLast() }
    return part
  }
}
