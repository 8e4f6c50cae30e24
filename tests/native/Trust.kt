// What tests/native/test_kotlin.py asks of signed bundles; one line an answer.

import edgesdk.Options
import edgesdk.SignatureCheck
import edgesdk.Verifier
import java.io.File
import java.security.GeneralSecurityException
import java.security.Provider
import java.security.Security

/** As Android has it: it names Ed25519, and takes no key from elsewhere. */
class KeyStore : Provider("AndroidKeyStore", "1", "a key store") {
    init {
        for (kind in listOf("KeyFactory", "Signature")) put("$kind.Ed25519", "nowhere.Ed25519")
    }
}

fun main(given: Array<String>) {
    val (signed, damaged) = given.take(2).map(::File)
    val (vendor, stranger) = given.drop(2).map { File(it).readText() }
    fun open(bundle: File, vararg keys: String, check: SignatureCheck? = null): String =
        Verifier(bundle, Options(publicKeys = keys.toList(), verifyEd25519 = check)).use { it.info.name }

    println("signed ${failure { open(signed, stranger, vendor) }}")
    println("stranger ${failure { open(signed, stranger) }}")
    println("damaged ${failure { open(damaged, vendor) }}")
    println("nokeys ${failure { open(signed) }}")
    println("old ${failure { Verifier(signed, Options(minimumVersion = "99.0.0")) }}")

    val asked = mutableListOf<List<Int>>()
    val own = SignatureCheck { key, signature, message -> asked += listOf(key.size, signature.size, message.size); true }
    println("own ${failure { open(signed, vendor, check = own) }} $asked")
    println("refused ${failure { open(signed, vendor, check = { _, _, _ -> false }) }}")
    val throwing = SignatureCheck { _, _, _ -> throw GeneralSecurityException("wrong") }
    println("threw ${failure { open(signed, vendor, check = throwing) }}")
    println("cause ${try { open(signed, vendor, check = throwing) } catch (problem: Exception) { problem.cause }}")
    println("fault ${try { open(signed, vendor, check = { _, _, _ -> TODO() }) } catch (problem: Error) { problem.javaClass.simpleName }}")
    println("useless ${failure { Verifier(signed, Options(verifyEd25519 = own)) }}")

    Security.insertProviderAt(KeyStore(), 1)
    println("keystore ${failure { open(signed, vendor) }} ${failure { open(damaged, vendor) }}")
    Security.getProviders("Signature.Ed25519").filter { it !is KeyStore }.forEach { Security.removeProvider(it.name) }
    println("none ${failure { open(signed, vendor) }}")
}
