import Foundation
import Testing

/// The tracker in pages that a real browser shows, in front of the whole system; judged by what the log holds
/// and the query API counts.
@Suite(
  "The browser tracker", .serialized, .endsWhatItShares,
  .enabled(if: Chromium.path != nil, "needs Debian's chromium package: Scripts/setup --tests"))
struct BrowserTrackerTests {
  private typealias Event = BrowserTrackerSystem.LoggedEvent

  /// A page of a site of its own, in a tab of its own.
  private func open(
    _ site: String, page: String = "contents", _ attributes: String = "", before: String? = nil
  ) async throws -> (system: BrowserTrackerSystem, tab: ChromiumTab) {
    let system = try await BrowserTrackerSystem.shared()
    let tab = try await system.browser.tab(before: before)
    try await tab.open(system.pages.url(site: site, page: page, attributes))
    return (system, tab)
  }

  /// Lets the page make one more event and waits for it: all earlier ones are in the log by then.
  private func settled(
    _ system: BrowserTrackerSystem, _ tab: ChromiumTab, _ site: String, order: Int = 1000
  ) async throws -> [Event] {
    try await tab.run("smartcontent('custom', { n: 'end', order: \(order) })")
    return try await system.events(of: site) { $0.contains { $0.data.order == order } }
  }

  /// In the page's own time.
  private func wait(_ tab: ChromiumTab, milliseconds: Int) async throws {
    try await tab.run("await new Promise(done => setTimeout(done, \(milliseconds)))")
  }

  private func now(_ tab: ChromiumTab) async throws -> Double {
    try await tab.evaluate("Date.now()", as: Double.self)
  }

  private func contents(_ events: [Event], _ kind: String) -> [String] {
    events.filter { $0.kind == kind }.compactMap(\.content).sorted()
  }

  /// Each event counts once, however often it was sent.
  private func expectCountedOnce(_ system: BrowserTrackerSystem, _ site: String) async throws {
    let events = try await system.events(of: site)
    #expect(try await system.counts(of: site) == BrowserTrackerSystem.Counts(events))
  }

  // MARK: What is seen

  @Test(
    "A content counts when half of it was visible for a second, and not before; in passing it does not"
  )
  func impressions() async throws {
    let site = "impressions"
    let (system, tab) = try await open(site)
    let atTop = try await system.events(of: site) { contents($0, "impression").count >= 2 }
    #expect(contents(atTop, "impression") == ["post-0", "post-1"])
    let view = try #require(atTop.first { $0.kind == "view" })
    for event in atTop where event.kind == "impression" {
      #expect(event.data.ts - view.data.ts >= 1000)
    }
    let first = try #require(atTop.first { $0.content == "post-0" })
    #expect(first.campaign == site)
    #expect(first.variant == "a")
    #expect(first.channel == "web")
    #expect(atTop.first { $0.content == "post-1" }?.variant == "b")

    let passing = try await tab.evaluate(
      """
      (async () => {
        const frames = async count => { while (count--) await new Promise(requestAnimationFrame) }
        const begin = performance.now()
        for (const place of [1440, 2240, 0]) { scrollTo(0, place); await frames(3) }
        return performance.now() - begin
      })()
      """, as: Double.self)
    try #require(passing < 900, "this machine is too slow to scroll past within a second")

    let scrolledAt = try await now(tab)
    // Of post-2 are 340 of 400 pixels in view then, of post-4 60.
    try await tab.scroll(by: 700)
    _ = try await system.events(of: site) { contents($0, "impression").count >= 4 }
    try await tab.scroll(by: -700)
    try await wait(tab, milliseconds: 1500)
    let all = try await settled(system, tab, site)
    #expect(contents(all, "impression") == ["post-0", "post-1", "post-2", "post-3"])
    for event in all where ["post-2", "post-3"].contains(event.content) {
      #expect(event.data.ts - scrolledAt >= 1000)
    }
    #expect(tab.exceptions.isEmpty)
    try await tab.close()
    try await expectCountedOnce(system, site)
  }

  @Test("A content taller than the window counts when it fills half of the window")
  func tall() async throws {
    let site = "tall"
    let (system, tab) = try await open(site, page: "tall")
    try await wait(tab, milliseconds: 1500)
    #expect(contents(try await settled(system, tab, site, order: 1), "impression").isEmpty)
    try await tab.scroll(by: 100)
    let all = try await system.events(of: site) { contents($0, "impression").count == 1 }
    #expect(contents(all, "impression") == ["long"])
    try await tab.close()
  }

  @Test(
    "Contents that come later count too, and each address is a view with impressions of its own")
  func history() async throws {
    let site = "history"
    let (system, tab) = try await open(site)
    _ = try await system.events(of: site) { contents($0, "impression").count == 2 }
    try await tab.run(
      """
      history.replaceState({}, '', location.href + '#part')
      history.pushState({}, '', '/plain?page=2')
      document.querySelector('section').innerHTML = '<article data-content="new">New</article>'
      """)
    let all = try await system.events(of: site) { contents($0, "impression").contains("new") }
    let views = all.filter { $0.kind == "view" }
    #expect(views.count == 2)
    #expect(views.last?.data.url.hasSuffix("/plain?page=2") == true)
    #expect(views.last?.data.ref == views.first?.data.url)
    // The earlier view ends with its engagement, of its own address.
    let ends = all.filter { $0.kind == "engagement" && $0.data.page == 1 }
    #expect(ends.map(\.data.url) == views.prefix(1).map(\.data.url))
    #expect(tab.exceptions.isEmpty)
    try await tab.close()
    try await expectCountedOnce(system, site)
  }

  // MARK: What is done

  @Test(
    "Clicks, conversions and names of persons arrive with their contents, calls before the script too"
  )
  func actions() async throws {
    let site = "actions"
    let (system, tab) = try await open(site)
    try await tab.click(x: 100, y: 100)
    try await tab.click(x: 100, y: 400, button: "middle")
    try await tab.click(x: 100, y: 400, button: "right")
    try await tab.run(
      """
      smartcontent('conversion', { value: 12.5, currency: 'EUR', content: 'post-1', order: 7 })
      smartcontent('identify', 'ann')
      smartcontent('alias', 'ann', 'old-ann')
      smartcontent('conversion')
      """)
    let all = try await settled(system, tab, site)
    #expect(contents(all, "click") == ["post-0", "post-1"])
    #expect(all.first { $0.kind == "click" }?.campaign == site)
    let sale = try #require(all.first { $0.data.order == 7 })
    #expect(sale.kind == "conversion")
    #expect(sale.revenue == "12.5")
    #expect(sale.content == "post-1")
    #expect(sale.campaign == site)
    #expect(all.first { $0.kind == "identify" }?.data.uid == "ann")
    #expect(all.first { $0.kind == "alias" }?.data.pid == "old-ann")
    #expect(all.count { $0.kind == "conversion" } == 2)
    #expect(all.first { $0.eventname == "early" }?.data.url.contains("/contents") == true)
    #expect(Set(all.map(\.data.aid)).count == 1)
    let ids = all.map(\.id) + all.map(\.data.aid)
    #expect(
      ids.allSatisfy {
        $0.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/)
          != nil
      }, "UUIDv7, RFC 9562")
    #expect(tab.exceptions.isEmpty)
    try await tab.close()
    try await expectCountedOnce(system, site)
  }

  // MARK: Leaving

  @Test("A page that is closed in the middle tells how long and how far it was read")
  func closing() async throws {
    let site = "closing"
    let (system, tab) = try await open(site)
    _ = try await system.events(of: site) { contents($0, "impression").count == 2 }
    try await tab.scroll(by: 700)
    let height = try await tab.evaluate("document.documentElement.scrollHeight", as: Double.self)
    try await tab.scroll(by: -300)
    try await tab.click(x: 100, y: 300)
    try await tab.close()
    let all = try await system.events(of: site) { events in
      events.contains { $0.data.page == 1 } && events.contains { $0.kind == "click" }
    }
    let page = try #require(all.first { $0.data.page == 1 })
    #expect(page.kind == "engagement")
    #expect(page.data.sd == Int((1500 * 100 / height).rounded()))
    let first = try #require(all.first { $0.kind == "engagement" && $0.content == "post-0" })
    let spent = try #require(first.data.dw)
    #expect(spent >= 1000 && spent <= page.data.dw ?? 0)

    // The next page of the site sends once more what was sent without an answer.
    let (_, next) = try await open(site)
    _ = try await settled(system, next, site)
    #expect(
      try await eventually {
        try await next.evaluate("Object.keys(localStorage).join()", as: String.self) == "sc_id"
      })
    try await next.close()
    try await expectCountedOnce(system, site)
  }

  @Test("A page that is left for another one sends its last events by a beacon")
  func leaving() async throws {
    let site = "leaving"
    let (system, tab) = try await open(
      site,
      before: """
        const send = navigator.sendBeacon.bind(navigator)
        navigator.sendBeacon = (url, text) => sessionStorage.sent = send(url, text)
        """)
    _ = try await system.events(of: site) { contents($0, "impression").count == 2 }
    try await tab.open(system.pages.url(site: site, page: "plain"))
    _ = try await system.events(of: site) { $0.contains { $0.data.page == 1 } }
    #expect(try await tab.evaluate("sessionStorage.sent", as: String.self) == "true")
    try await tab.close()
    try await expectCountedOnce(system, site)
  }

  // MARK: Network cut

  @Test(
    "With the collector killed and started again while events come, each arrives and counts once")
  func collectorKilled() async throws {
    let site = "killed"
    let (system, tab) = try await open(site)
    try await tab.run(
      """
      window.made = 0
      window.making = setInterval(() => smartcontent('conversion', { order: made++ }), 100)
      """)
    for kill in 1...3 {
      let count = kill * 20
      #expect(
        try await eventually(withinMs: 30_000) {
          try await tab.evaluate("made", as: Int.self) >= count
        })
      let failed = tab.eventCount("Network.loadingFailed")
      await system.roles.kill(.collect)
      #expect(
        await eventually(withinMs: 30_000) { tab.eventCount("Network.loadingFailed") > failed },
        "the page tried meanwhile")
      try await system.roles.start(.collect)
    }
    try await tab.run("clearInterval(making)")
    let made = try await tab.evaluate("made", as: Int.self)
    let all = try await system.events(of: site, withinMs: 60_000) { events in
      Set(events.compactMap(\.data.order)).count >= made
    }
    let orders = all.filter { $0.kind == "conversion" }.compactMap(\.data.order)
    #expect(orders.sorted() == Array(0..<made), "each once, by its id")
    #expect(all.allSatisfy { $0.data.drop == nil }, "so few wait that none has to go")
    try await tab.close()
    try await expectCountedOnce(system, site)
  }

  @Test("A page that is closed while the collector is away loses nothing: the next page sends it")
  func closedWhileAway() async throws {
    let site = "away"
    let (system, tab) = try await open(site)
    _ = try await system.events(of: site) { contents($0, "impression").count == 2 }
    await system.roles.kill(.collect)
    try await tab.click(x: 100, y: 100)
    try await tab.run("smartcontent('conversion', { order: 1 })")
    try await wait(tab, milliseconds: 2000)
    try await tab.close()
    try await system.roles.start(.collect)
    let (_, next) = try await open(site, page: "contents")
    let all = try await system.events(of: site) { events in
      events.contains { $0.data.order == 1 } && events.contains { $0.data.page == 1 }
    }
    #expect(contents(all, "click") == ["post-0"])
    try await next.close()
    try await expectCountedOnce(system, site)
  }

  @Test(
    "What is refused for now is sent again, what is refused for good is not",
    arguments: [(401, true), (408, true), (429, true), (503, true), (400, false), (403, false)])
  func refused(status: Int, isTriedAgain: Bool) async throws {
    let site = "refused-\(status)"
    let (system, tab) = try await open(
      site,
      before: """
        window.tries = 0
        const send = fetch
        window.fetch = (to, options) => String(to).includes('/v1/e') && !tries++
          ? Promise.resolve(new Response('', { status: \(status) })) : send(to, options)
        """)
    #expect(
      try await eventually(withinMs: 30_000) { try await tab.evaluate("tries", as: Int.self) > 0 })
    let events = try await settled(system, tab, site)
    // The page's view was in the request that was refused.
    #expect(events.contains { $0.kind == "view" } == isTriedAgain)
    #expect(try await tab.evaluate("tries", as: Int.self) > 1)
    try await tab.close()
    try await expectCountedOnce(system, site)
  }

  @Test(
    "Without network nothing is tried; then all comes, of too many the newest with the number of the others"
  )
  func offline() async throws {
    let site = "offline"
    let (system, tab) = try await open(site)
    _ = try await settled(system, tab, site)
    try await tab.setOffline(true)
    let before = try tab.requests().count
    try await tab.run("for (let order = 0; order < 600; order++) smartcontent('custom', { order })")
    try await wait(tab, milliseconds: 2000)
    #expect(try tab.requests().count == before)
    let stored = try await tab.evaluate(
      "Object.values(localStorage).reduce((sum, text) => sum + text.length, 0)", as: Int.self)
    #expect(stored < 64 * 1024)
    try await tab.setOffline(false)
    let all = try await system.events(of: site) { $0.contains { $0.data.order == 599 } }
    let orders = all.compactMap(\.data.order).filter { $0 < 600 }.sorted()
    let dropped = all.compactMap(\.data.drop).reduce(0, +)
    #expect(orders == Array(600 - orders.count..<600), "the oldest were dropped")
    #expect(dropped > 0)
    // Events of the page itself may have been among the oldest.
    #expect((600 - orders.count...600 - orders.count + 4).contains(dropped))
    try await tab.close()
  }

  @Test("Two tabs leave each other's events alone, and each event counts once")
  func tabs() async throws {
    let site = "tabs"
    let (system, one) = try await open(site)
    let (_, two) = try await open(site)
    await system.roles.kill(.collect)
    for order in 0..<10 {
      try await (order % 2 == 0 ? one : two).run("smartcontent('conversion', { order: \(order) })")
    }
    #expect(
      try await one.evaluate(
        "Object.keys(localStorage).filter(name => name.startsWith('sc:')).length >= 10",
        as: Bool.self))
    try await system.roles.start(.collect)
    let all = try await system.events(of: site, withinMs: 60_000) { events in
      Set(events.compactMap(\.data.order)).count == 10
    }
    #expect(all.compactMap(\.data.order).sorted() == Array(0..<10))
    #expect(Set(all.map(\.data.aid)).count == 1)
    try await one.close()
    try await two.close()
    try await expectCountedOnce(system, site)
  }

  // MARK: Consent

  /// A page that does all that would make events.
  private func use(_ tab: ChromiumTab) async throws {
    try await wait(tab, milliseconds: 1300)
    try await tab.click(x: 100, y: 100)
    try await tab.run("smartcontent('conversion', { value: 1, currency: 'EUR', order: 1 })")
    try await wait(tab, milliseconds: 2500)
  }

  private static let doNotTrack =
    "Object.defineProperty(navigator, 'doNotTrack', { value: '1' })"
  private static let globalPrivacyControl =
    "Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })"

  @Test(
    "With Do Not Track or Global Privacy Control nothing is stored and nothing is sent",
    arguments: [
      ("dnt", doNotTrack, ""), ("gpc", globalPrivacyControl, ""),
      ("gpc-ignored", globalPrivacyControl, "data-dnt=ignore"),
    ])
  func signals(site: String, signal: String, attributes: String) async throws {
    let (system, tab) = try await open(site, attributes, before: signal)
    try await use(tab)
    #expect(try await tab.evaluate("localStorage.length", as: Int.self) == 0)
    try await tab.open(system.pages.url(site: site, page: "plain"))
    #expect(try !tab.requests().contains { $0.contains("/v1/e") })
    #expect(try tab.requests().contains { $0.hasSuffix("/t.js") })
    #expect(tab.exceptions.isEmpty)
    try await tab.close()
  }

  @Test("A page may pass over Do Not Track")
  func ignoredSignal() async throws {
    let site = "dnt-ignored"
    let (system, tab) = try await open(site, "data-dnt=ignore", before: Self.doNotTrack)
    #expect(try await settled(system, tab, site).contains { $0.kind == "view" })
    try await tab.close()
  }

  @Test(
    "Where consent is required, events wait for it in memory, are sent with it, and are dropped without"
  )
  func consent() async throws {
    let site = "consent"
    let required = "data-consent=required"
    let (system, tab) = try await open(site, required)
    try await use(tab)
    #expect(try await tab.evaluate("localStorage.length", as: Int.self) == 0)
    try await tab.open(system.pages.url(site: site, page: "contents", required))
    #expect(try !tab.requests().contains { $0.contains("/v1/e") })

    try await use(tab)
    let givenAt = try await now(tab)
    try await tab.run("smartcontent('consent', true)")
    let all = try await system.events(of: site) { $0.contains { $0.kind == "conversion" } }
    #expect(all.count { $0.kind == "view" } == 1, "the first page's went with it")
    #expect(contents(all, "impression") == ["post-0", "post-1"])
    #expect(contents(all, "click") == ["post-0"])
    #expect(all.allSatisfy { $0.data.ts < givenAt && $0.data.tried ?? 0 >= givenAt })

    // Remembered by the next page.
    try await tab.open(system.pages.url(site: site, page: "contents", required))
    _ = try await system.events(of: site) { $0.count { $0.kind == "view" } == 2 }
    try await tab.run(
      "smartcontent('conversion', { order: 2 }); smartcontent('consent', false)")
    #expect(
      try await tab.evaluate("JSON.stringify(localStorage)", as: String.self)
        == #"{"sc_ok":"-1"}"#)
    try await use(tab)
    try await tab.open(system.pages.url(site: site, page: "contents"))
    try await use(tab)
    try await tab.close()
    #expect(try await system.events(of: site).count { $0.kind == "view" } == 2)
    #expect(try await !system.events(of: site).contains { $0.data.order == 2 })
    try await expectCountedOnce(system, site)
  }

  @Test(
    "A page without storage, or with a full one, is counted like others",
    arguments: [
      (
        "blocked",
        "Object.defineProperty(window, 'localStorage', { get() { throw Error('blocked') } })"
      ),
      ("absent", "Object.defineProperty(window, 'localStorage', { value: null })"),
      (
        "full",
        """
        if (location.hostname.includes('localhost'))
          for (let length = 1 << 23; length >= 1; length >>= 1)
            try { localStorage['filler' + length] = 'x'.repeat(length) } catch {}
        """
      ),
    ])
  func storage(site: String, script: String) async throws {
    let (system, tab) = try await open(site, before: script)
    try await use(tab)
    let all = try await settled(system, tab, site)
    #expect(contents(all, "impression") == ["post-0", "post-1"])
    #expect(contents(all, "click") == ["post-0"])
    #expect(tab.exceptions.isEmpty)
    try await tab.open(system.pages.url(site: site, page: "plain"))
    _ = try await system.events(of: site) { $0.contains { $0.data.page == 1 } }
    try await tab.close()
    try await expectCountedOnce(system, site)
  }
}
