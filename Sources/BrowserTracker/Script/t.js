// SmartContent's browser tracker. What it does and how it is used: BrowserTracker.swift. It is sent without
// lines like these and without spaces that say nothing, and may then have 2,048 bytes in gzip: names are short.
(() => {
  let me = document.currentScript, { key: k, consent, dnt } = me.dataset, stub = window.smartcontent
  if (stub?.on) return
  if (navigator.globalPrivacyControl || navigator.doNotTrack == 1 && dnt != 'ignore') {
    return smartcontent = () => {}
  }
  let id = () => `0${Date.now().toString(16)}-7xxx-8xxx-xxxxxxxxxxxx`.replace(/.{8}/, '$&-')
    .replace(/x/g, () => (crypto.getRandomValues(new Uint8Array(1))[0] & 15).toString(16))

  // Events that wait, and their copies on disk: an entry for each, so that tabs leave each other's alone.
  // `ok` is 1 with consent, 0 as long as it is not known, -1 without; until it is 1, `disk` is none.
  let kept = {}, store = {}, disk = {}, pre = `sc:${k}:`, ok, aid = id()
  // Where a browser forbids storage, events wait in memory: the page is never to notice.
  try { store = localStorage || store } catch {}
  let set = (name, data) => {
    // A full disk keeps nothing; `kept` has the event all the same.
    try { disk[name] = data } catch {}
  }
  let all = () => Object.values(kept)
  let keep = e => {
    kept[e.eid] = e
    set(pre + e.eid, JSON.stringify(e))
  }
  let del = e => {
    delete kept[e.eid]
    delete disk[pre + e.eid]
  }

  // Sending. An event leaves the queue when its receipt is confirmed, and 22 hours after it was first tried:
  // the log knows copies for 24.
  let to = new URL('/v1/e', me.src), due, fresh, wait
  let body = e => JSON.stringify({ k, s: Date.now(), e })
  let next = () => {
    fresh = 0
    return ok < 1 || !navigator.onLine ? [] : all().filter(e => {
      e.tried ||= Date.now()
      keep(e)
      return e.tried > Date.now() - 8e7 || del(e)
    })
  }
  let send = async () => {
    let some = next(), text = body(some), after, done
    due = some[0]
    if (!due) return
    try {
      let { status, headers } = await fetch(to, { method: 'POST', body: text, keepalive: !text[2e4] })
      after = headers.get('Retry-After')
      done = status < 401 || status == 403
      // Only 400 and 403 say that once more is in vain. No answer is as good as a 503: the events stay in the
      // queue for the next attempt below.
    } catch {}
    if (done) some.map(del)
    wait = done ? 1200 : Math.min(wait * 2, 6e4)
    due = setTimeout(send, (after * 1e3 || 0) + wait * (1 + Math.random()))
  }

  // Events. `ms` is the time in view of each content since its last engagement.
  let url, uid, far, ms = {}
  let at = () => document.URL.split('#')[0]
  let keys = { campaign: 'cid', content: 'cnt', variant: 'var', channel: 'ch', decision: 'decision' }
  let about = (target, one) => {
    let data = {}
    for (let name in keys) data[keys[name]] = one?.[name] ?? target.closest(`[data-${name}]`)?.dataset[name]
    return data
  }
  let add = (t, data) => {
    if (ok < 0 || body(data)[1e4]) return
    let some = all(), old, drop
    while (body(some)[6e4]) {
      del(old = some.shift())
      drop = 1 + (drop | 0) + (old.drop | 0)
    }
    keep({ url: at(), uid, ...data, t, eid: id(), ts: Date.now(), aid, drop })
    fresh = 1
    due ||= setTimeout(send, wait = 1200)
  }

  // What is in view: element -> what ends that.
  let shown = new Map()
  let show = (target, item) => {
    if (shown.has(target)) return
    let from = performance.now(), soon = setTimeout(() => {
      if (item in ms) return
      ms[item] = 0
      add('impression', JSON.parse(item))
    }, 1e3)
    shown.set(target, () => {
      clearTimeout(soon)
      shown.delete(target)
      if (item in ms) ms[item] += performance.now() - from
    })
  }
  let io = new IntersectionObserver(some => some.map(({ target, intersectionRatio, boundingClientRect: { height } }) =>
    height && intersectionRatio * height * 2 >= Math.min(height, innerHeight)
      ? show(target, JSON.stringify(about(target)))
      : shown.get(target)?.()
  ), { threshold: [...Array(201).keys()].map(i => i / 200) })

  // The page's life: a view, then in and out of sight.
  let scroll = () => {
    far = Math.max(far, Math.min(100, Math.round((scrollY + innerHeight) * 100 / document.documentElement.scrollHeight)))
  }
  let rest = () => {
    io.disconnect()
    shown.forEach(end => end())
    far || scroll()
    for (let item in ms) {
      let data = JSON.parse(item), dw = Math.round(ms[item])
      if (dw > 999) {
        add('engagement', { ...data, url, dw, sd: data.page && far })
        ms[item] = 0
      }
    }
  }
  let view = () => {
    rest()
    far = 0
    ms = {}
    add('view', { ...about(me), ref: url || document.referrer })
    url = at()
    enter()
  }
  let enter = () => {
    let item = JSON.stringify({ ...about(me), page: 1 })
    ms[item] ||= 0
    show(document, item)
    document.querySelectorAll('[data-content]').forEach(target => io.observe(target))
  }
  let look = () => document.hidden ? (rest(), fresh && send()) : at() == url ? enter() : view()
  let start = () => {
    ok = 1
    disk = store
    set('sc_id', aid = disk.sc_id || aid)
    Object.entries(disk).sort().map(([name, data]) => name.startsWith(pre) && keep(JSON.parse(data)))
    all().map(keep)
    due ||= setTimeout(send, wait = 1200)
  }

  smartcontent = (name, one, two) => {
    if (name == 'consent') {
      if (one) start()
      else {
        all().map(del)
        delete disk.sc_id
        aid = id()
        ok = -1
      }
      set('sc_ok', ok)
    } else if (name[0] == 'c') add(name, { ...about(me, one), v: one?.value, cur: one?.currency, ...one })
    else add(name, { uid: uid = one, pid: two })
  }
  smartcontent.on = 1

  ok = +(store.sc_ok ?? consent != 'required')
  if (ok > 0) start()
  let click = ({ target, button }) => {
    target = target.closest?.('[data-content]')
    if (target && button < 2) add('click', about(target))
  }
  addEventListener('click', click, 1)
  addEventListener('auxclick', click, 1)
  addEventListener('pagehide', () => {
    rest()
    if (fresh && next()[0]) navigator.sendBeacon(to, body(all()))
    url = 0
  })
  addEventListener('online', send)
  addEventListener('scroll', scroll)
  addEventListener('visibilitychange', look)
  window.navigation?.addEventListener('currententrychange', look)
  new MutationObserver(look).observe(document, { childList: 1, subtree: 1 })
  look()
  stub?.q?.map(call => smartcontent(...call))
})()
