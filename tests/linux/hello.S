// The smallest unmodified Linux program: write(1, ...) and exit(0) with bare `syscall`.
    .globl _start
    .section .rodata
text:
    .ascii "hello from Linux\n"
    .set length, . - text

    .text
_start:
    mov $1, %eax            // write
    mov $1, %edi            // standard output
    lea text(%rip), %rsi
    mov $length, %edx
    syscall
    mov $60, %eax           // exit
    xor %edi, %edi
    syscall
    hlt                     // not reached

    .section .note.GNU-stack, "", @progbits
